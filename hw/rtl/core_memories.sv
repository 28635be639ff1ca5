// Every memory of the core but the accumulators, and the ways of DMA to them.
//
// Reads answer one cycle after ren or grant. Engines go before DMA; DMA is granted in the cycle of its
// request where no engine uses the same port. Addresses beyond a memory wrap. image_count_o follows
// word 0 of the image list.

module core_memories import joulegrad_pkg::*; #(
  parameter  int unsigned G            = 16,    // side of the array
  parameter  int unsigned AWords       = 8192,  // depths, in words of the memory
  parameter  int unsigned WWords       = 4096,
  parameter  int unsigned VectorWords  = 2048,
  parameter  int unsigned MaskWords    = 512,
  parameter  int unsigned TableWords   = 4096,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  localparam int unsigned WideBits     = 8 * G,
  localparam int unsigned MemBits      = WideBits > 64 ? WideBits : 64
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  // Operand A, read by the array.
  input  logic                a_ren_i,
  input  logic [15:0]         a_addr_i,
  output logic [WideBits-1:0] a_rdata_o,

  // Weights and second operand.
  input  logic                w_ren_i,
  input  logic [15:0]         w_addr_i,
  output logic [WideBits-1:0] w_rdata_o,

  // Weight-block list.
  input  logic                bl_ren_i,
  input  logic [15:0]         bl_addr_i,
  output logic [63:0]         bl_rdata_o,

  // Scalar programs.
  input  logic                p_ren_i,
  input  logic [15:0]         p_addr_i,
  output logic [31:0]         p_rdata_o,

  // Image list, for load and for store engine.
  input  logic                load_il_ren_i,
  input  logic [15:0]         load_il_addr_i,
  output logic [31:0]         load_il_rdata_o,
  input  logic                store_il_ren_i,
  input  logic [15:0]         store_il_addr_i,
  output logic [31:0]         store_il_rdata_o,
  output logic [15:0]         image_count_o,

  // The vector unit's memories.
  input  logic                u_ren_i,
  input  logic [15:0]         u_addr_i,
  output logic [WideBits-1:0] u_rdata_o,
  input  logic                v_ren_i,
  input  logic [15:0]         v_addr_i,
  output logic [WideBits-1:0] v_rdata_o,
  input  logic                mi_ren_i,
  input  logic [15:0]         mi_addr_i,
  output logic [WideBits-1:0] mi_rdata_o,
  input  logic                u_wen_i,
  input  logic [15:0]         u_waddr_i,
  input  logic [WideBits-1:0] u_wdata_i,
  input  logic                v_wen_i,
  input  logic [15:0]         v_waddr_i,
  input  logic [WideBits-1:0] v_wdata_i,
  input  logic                o_wen_i,
  input  logic [15:0]         o_waddr_i,
  input  logic [WideBits-1:0] o_wdata_i,
  input  logic                mo_wen_i,
  input  logic [15:0]         mo_waddr_i,
  input  logic [WideBits-1:0] mo_wdata_i,

  // Table memory: vector unit (vc), coefficient unit (cc).
  output logic [63:0]         c_rdata_o,
  input  logic                vc_rclaim_i,
  input  logic                vc_rreq_i,
  input  logic [15:0]         vc_raddr_i,
  output logic                vc_rgnt_o,
  input  logic                vc_wclaim_i,
  input  logic                vc_wreq_i,
  input  logic [15:0]         vc_waddr_i,
  input  logic [63:0]         vc_wdata_i,
  output logic                vc_wgnt_o,
  input  logic                cc_rclaim_i,
  input  logic                cc_rreq_i,
  input  logic [15:0]         cc_raddr_i,
  output logic                cc_rgnt_o,
  input  logic                cc_wreq_i,
  input  logic [15:0]         cc_waddr_i,
  input  logic [63:0]         cc_wdata_i,
  output logic                cc_wgnt_o,

  // The load engine writes, the store engine reads; the memory by its number.
  input  logic                dma_wreq_i,
  input  logic [3:0]          dma_wsel_i,
  input  logic [15:0]         dma_waddr_i,
  input  logic [MemBits-1:0]  dma_wdata_i,
  output logic                dma_wgnt_o,
  input  logic                dma_rreq_i,
  input  logic [3:0]          dma_rsel_i,
  input  logic [15:0]         dma_raddr_i,
  output logic                dma_rgnt_o,
  output logic [MemBits-1:0]  dma_rdata_o
);

  localparam int unsigned AW = $clog2(AWords);
  localparam int unsigned WW = $clog2(WWords);
  localparam int unsigned VW = $clog2(VectorWords);
  localparam int unsigned MW = $clog2(MaskWords);
  localparam int unsigned TW = $clog2(TableWords);
  localparam int unsigned PW = $clog2(ProgramWords);
  localparam int unsigned LW = $clog2(ListWords);
  localparam int unsigned BW = $clog2(BlockWords);

  logic [WideBits-1:0] o_rdata, mo_rdata;
  logic                u_wfree, v_wfree, c_wfree, u_rfree, v_rfree, c_rfree;
  logic [3:0]          dma_rsel_q;
  logic [15:0]         image_count_q /* verilator public_flat_rd */;

  // Load and store engine check their addresses; beyond the depth the others' wrap.
  logic unused_addr;
  assign unused_addr = ^{a_addr_i, w_addr_i, mi_addr_i, p_addr_i, bl_addr_i, load_il_addr_i,
                         store_il_addr_i, u_addr_i, v_addr_i, o_waddr_i, mo_waddr_i, u_waddr_i,
                         v_waddr_i, vc_raddr_i, vc_waddr_i, cc_raddr_i, cc_waddr_i, dma_raddr_i,
                         dma_waddr_i};

  assign image_count_o = image_count_q;

  // Memories with one reader and one writer: DMA is never in the way.
  ram_1r1w #(
    .Width(WideBits),
    .Depth(AWords)
  ) u_mem_a (
    .clk_i,
    .ren_i  (a_ren_i),
    .raddr_i(a_addr_i[AW-1:0]),
    .rdata_o(a_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemA),
    .waddr_i(dma_waddr_i[AW-1:0]),
    .wdata_i(dma_wdata_i[WideBits-1:0])
  );

  ram_1r1w #(
    .Width(WideBits),
    .Depth(WWords)
  ) u_mem_w (
    .clk_i,
    .ren_i  (w_ren_i),
    .raddr_i(w_addr_i[WW-1:0]),
    .rdata_o(w_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemW),
    .waddr_i(dma_waddr_i[WW-1:0]),
    .wdata_i(dma_wdata_i[WideBits-1:0])
  );

  ram_1r1w #(
    .Width(WideBits),
    .Depth(MaskWords)
  ) u_mem_mi (
    .clk_i,
    .ren_i  (mi_ren_i),
    .raddr_i(mi_addr_i[MW-1:0]),
    .rdata_o(mi_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemMI),
    .waddr_i(dma_waddr_i[MW-1:0]),
    .wdata_i(dma_wdata_i[WideBits-1:0])
  );

  ram_1r1w #(
    .Width(32),
    .Depth(ProgramWords)
  ) u_mem_p (
    .clk_i,
    .ren_i  (p_ren_i),
    .raddr_i(p_addr_i[PW-1:0]),
    .rdata_o(p_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemP),
    .waddr_i(dma_waddr_i[PW-1:0]),
    .wdata_i(dma_wdata_i[31:0])
  );

  ram_1r1w #(
    .Width(64),
    .Depth(BlockWords)
  ) u_mem_bl (
    .clk_i,
    .ren_i  (bl_ren_i),
    .raddr_i(bl_addr_i[BW-1:0]),
    .rdata_o(bl_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemBL),
    .waddr_i(dma_waddr_i[BW-1:0]),
    .wdata_i(dma_wdata_i[63:0])
  );

  // The image list twice, so that load and store engine read it without waiting.
  ram_1r1w #(
    .Width(32),
    .Depth(ListWords)
  ) u_mem_il (
    .clk_i,
    .ren_i  (load_il_ren_i),
    .raddr_i(load_il_addr_i[LW-1:0]),
    .rdata_o(load_il_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemIL),
    .waddr_i(dma_waddr_i[LW-1:0]),
    .wdata_i(dma_wdata_i[31:0])
  );

  ram_1r1w #(
    .Width(32),
    .Depth(ListWords)
  ) u_mem_il_store (
    .clk_i,
    .ren_i  (store_il_ren_i),
    .raddr_i(store_il_addr_i[LW-1:0]),
    .rdata_o(store_il_rdata_o),
    .wen_i  (dma_wreq_i && dma_wsel_i == MemIL),
    .waddr_i(dma_waddr_i[LW-1:0]),
    .wdata_i(dma_wdata_i[31:0])
  );

  ram_1r1w #(
    .Width(WideBits),
    .Depth(VectorWords)
  ) u_mem_o (
    .clk_i,
    .ren_i  (dma_rreq_i && dma_rsel_i == MemO),
    .raddr_i(dma_raddr_i[VW-1:0]),
    .rdata_o(o_rdata),
    .wen_i  (o_wen_i),
    .waddr_i(o_waddr_i[VW-1:0]),
    .wdata_i(o_wdata_i)
  );

  ram_1r1w #(
    .Width(WideBits),
    .Depth(MaskWords)
  ) u_mem_mo (
    .clk_i,
    .ren_i  (dma_rreq_i && dma_rsel_i == MemMO),
    .raddr_i(dma_raddr_i[MW-1:0]),
    .rdata_o(mo_rdata),
    .wen_i  (mo_wen_i),
    .waddr_i(mo_waddr_i[MW-1:0]),
    .wdata_i(mo_wdata_i)
  );

  // Memories that the vector unit shares with DMA.
  scratchpad #(
    .Width(WideBits),
    .Depth(VectorWords)
  ) u_mem_u (
    .clk_i,
    .engine_ren_i  (u_ren_i),
    .engine_raddr_i(u_addr_i[VW-1:0]),
    .engine_wen_i  (u_wen_i),
    .engine_waddr_i(u_waddr_i[VW-1:0]),
    .engine_wdata_i(u_wdata_i),
    .dma_rreq_i    (dma_rreq_i && dma_rsel_i == MemU),
    .dma_rgnt_o    (u_rfree),
    .dma_raddr_i   (dma_raddr_i[VW-1:0]),
    .dma_wreq_i    (dma_wreq_i && dma_wsel_i == MemU),
    .dma_wgnt_o    (u_wfree),
    .dma_waddr_i   (dma_waddr_i[VW-1:0]),
    .dma_wdata_i   (dma_wdata_i[WideBits-1:0]),
    .rdata_o       (u_rdata_o)
  );

  scratchpad #(
    .Width(WideBits),
    .Depth(VectorWords)
  ) u_mem_v (
    .clk_i,
    .engine_ren_i  (v_ren_i),
    .engine_raddr_i(v_addr_i[VW-1:0]),
    .engine_wen_i  (v_wen_i),
    .engine_waddr_i(v_waddr_i[VW-1:0]),
    .engine_wdata_i(v_wdata_i),
    .dma_rreq_i    (dma_rreq_i && dma_rsel_i == MemV),
    .dma_rgnt_o    (v_rfree),
    .dma_raddr_i   (dma_raddr_i[VW-1:0]),
    .dma_wreq_i    (dma_wreq_i && dma_wsel_i == MemV),
    .dma_wgnt_o    (v_wfree),
    .dma_waddr_i   (dma_waddr_i[VW-1:0]),
    .dma_wdata_i   (dma_wdata_i[WideBits-1:0]),
    .rdata_o       (v_rdata_o)
  );

  table_memory #(
    .Depth(TableWords)
  ) u_mem_c (
    .clk_i,
    .vector_rclaim_i    (vc_rclaim_i),
    .vector_rreq_i      (vc_rreq_i),
    .vector_raddr_i     (vc_raddr_i[TW-1:0]),
    .vector_rgnt_o      (vc_rgnt_o),
    .coefficient_rclaim_i(cc_rclaim_i),
    .coefficient_rreq_i (cc_rreq_i),
    .coefficient_raddr_i(cc_raddr_i[TW-1:0]),
    .coefficient_rgnt_o (cc_rgnt_o),
    .dma_rreq_i         (dma_rreq_i && dma_rsel_i == MemC),
    .dma_raddr_i        (dma_raddr_i[TW-1:0]),
    .dma_rgnt_o         (c_rfree),
    .rdata_o            (c_rdata_o),
    .vector_wclaim_i    (vc_wclaim_i),
    .vector_wreq_i      (vc_wreq_i),
    .vector_waddr_i     (vc_waddr_i[TW-1:0]),
    .vector_wdata_i     (vc_wdata_i),
    .vector_wgnt_o      (vc_wgnt_o),
    .coefficient_wreq_i (cc_wreq_i),
    .coefficient_waddr_i(cc_waddr_i[TW-1:0]),
    .coefficient_wdata_i(cc_wdata_i),
    .coefficient_wgnt_o (cc_wgnt_o),
    .dma_wreq_i         (dma_wreq_i && dma_wsel_i == MemC),
    .dma_waddr_i        (dma_waddr_i[TW-1:0]),
    .dma_wdata_i        (dma_wdata_i[63:0]),
    .dma_wgnt_o         (c_wfree)
  );

  // Which memory is the last thing known in a cycle: whether it is free is known for each.
  assign dma_wgnt_o = dma_wreq_i && !(dma_wsel_i == MemU && !u_wfree) && !(dma_wsel_i == MemV && !v_wfree)
                      && !(dma_wsel_i == MemC && !c_wfree);
  assign dma_rgnt_o = dma_rreq_i && !(dma_rsel_i == MemU && !u_rfree) && !(dma_rsel_i == MemV && !v_rfree)
                      && !(dma_rsel_i == MemC && !c_rfree);

  always_comb begin
    unique case (dma_rsel_q)
      MemU:    dma_rdata_o = MemBits'(u_rdata_o);
      MemV:    dma_rdata_o = MemBits'(v_rdata_o);
      MemO:    dma_rdata_o = MemBits'(o_rdata);
      MemMO:   dma_rdata_o = MemBits'(mo_rdata);
      default: dma_rdata_o = MemBits'(c_rdata_o);
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (dma_rgnt_o) dma_rsel_q <= dma_rsel_i;
  end

  // The images of the mini-batch: word 0 of the image list.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) image_count_q <= '0;
    else if (dma_wgnt_o && dma_wsel_i == MemIL && dma_waddr_i[LW-1:0] == '0) image_count_q <= dma_wdata_i[15:0];
  end

endmodule
