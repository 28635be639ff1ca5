// The accelerator: fetch, five engines with their queues and tokens, memories, control.
//
// What an instruction does is in hw/architecture.md; this module only connects. Engines read their memories
// without stalls; the load and store engines yield to them. Two AXI3 masters (data of AxiBits bits, bursts of
// at most 16 beats; port 0 carries the instructions too), one AXI4-Lite slave.
// Golden: hw/golden.py run_segment().

module joulegrad_core import joulegrad_pkg::*; #(
  parameter  int unsigned G            = 16,    // side of the array
  parameter  int unsigned AWords       = 8192,  // depths, in words of the memory
  parameter  int unsigned WWords       = 4096,
  parameter  int unsigned AccRows      = 1024,  // per bank
  parameter  int unsigned VectorWords  = 2048,
  parameter  int unsigned MaskWords    = 512,
  parameter  int unsigned TableWords   = 4096,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  int unsigned PassTaps     = 2,     // taps of a pass over operands of few bits
  parameter  int unsigned AxiBits      = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  parameter  bit          PackProducts = 1'b1,  // two products per multiplier, see mac_pair
  localparam int unsigned WideBits     = 8 * G,
  localparam int unsigned AccBits      = 32 * G,
  localparam int unsigned MemBits      = WideBits > 64 ? WideBits : 64,
  localparam int unsigned StrbBits     = AxiBits / 8
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  output logic                irq_o,

  // AXI4-Lite slave: registers.
  input  logic [9:0]          s_axi_awaddr_i,
  input  logic                s_axi_awvalid_i,
  output logic                s_axi_awready_o,
  input  logic [31:0]         s_axi_wdata_i,
  input  logic [3:0]          s_axi_wstrb_i,
  input  logic                s_axi_wvalid_i,
  output logic                s_axi_wready_o,
  output logic [1:0]          s_axi_bresp_o,
  output logic                s_axi_bvalid_o,
  input  logic                s_axi_bready_i,
  input  logic [9:0]          s_axi_araddr_i,
  input  logic                s_axi_arvalid_i,
  output logic                s_axi_arready_o,
  output logic [31:0]         s_axi_rdata_o,
  output logic [1:0]          s_axi_rresp_o,
  output logic                s_axi_rvalid_o,
  input  logic                s_axi_rready_i,

  // AXI3 master, port 0.
  output logic [5:0]          m0_axi_arid_o,
  output logic [31:0]         m0_axi_araddr_o,
  output logic [3:0]          m0_axi_arlen_o,
  output logic [2:0]          m0_axi_arsize_o,
  output logic [1:0]          m0_axi_arburst_o,
  output logic [3:0]          m0_axi_arcache_o,
  output logic [2:0]          m0_axi_arprot_o,
  output logic                m0_axi_arvalid_o,
  input  logic                m0_axi_arready_i,
  input  logic [5:0]          m0_axi_rid_i,
  input  logic [AxiBits-1:0]  m0_axi_rdata_i,
  input  logic [1:0]          m0_axi_rresp_i,
  input  logic                m0_axi_rlast_i,
  input  logic                m0_axi_rvalid_i,
  output logic                m0_axi_rready_o,
  output logic [5:0]          m0_axi_awid_o,
  output logic [31:0]         m0_axi_awaddr_o,
  output logic [3:0]          m0_axi_awlen_o,
  output logic [2:0]          m0_axi_awsize_o,
  output logic [1:0]          m0_axi_awburst_o,
  output logic [3:0]          m0_axi_awcache_o,
  output logic [2:0]          m0_axi_awprot_o,
  output logic                m0_axi_awvalid_o,
  input  logic                m0_axi_awready_i,
  output logic [5:0]          m0_axi_wid_o,
  output logic [AxiBits-1:0]  m0_axi_wdata_o,
  output logic [StrbBits-1:0] m0_axi_wstrb_o,
  output logic                m0_axi_wlast_o,
  output logic                m0_axi_wvalid_o,
  input  logic                m0_axi_wready_i,
  input  logic [5:0]          m0_axi_bid_i,
  input  logic [1:0]          m0_axi_bresp_i,
  input  logic                m0_axi_bvalid_i,
  output logic                m0_axi_bready_o,

  // AXI3 master, port 1.
  output logic [5:0]          m1_axi_arid_o,
  output logic [31:0]         m1_axi_araddr_o,
  output logic [3:0]          m1_axi_arlen_o,
  output logic [2:0]          m1_axi_arsize_o,
  output logic [1:0]          m1_axi_arburst_o,
  output logic [3:0]          m1_axi_arcache_o,
  output logic [2:0]          m1_axi_arprot_o,
  output logic                m1_axi_arvalid_o,
  input  logic                m1_axi_arready_i,
  input  logic [5:0]          m1_axi_rid_i,
  input  logic [AxiBits-1:0]  m1_axi_rdata_i,
  input  logic [1:0]          m1_axi_rresp_i,
  input  logic                m1_axi_rlast_i,
  input  logic                m1_axi_rvalid_i,
  output logic                m1_axi_rready_o,
  output logic [5:0]          m1_axi_awid_o,
  output logic [31:0]         m1_axi_awaddr_o,
  output logic [3:0]          m1_axi_awlen_o,
  output logic [2:0]          m1_axi_awsize_o,
  output logic [1:0]          m1_axi_awburst_o,
  output logic [3:0]          m1_axi_awcache_o,
  output logic [2:0]          m1_axi_awprot_o,
  output logic                m1_axi_awvalid_o,
  input  logic                m1_axi_awready_i,
  output logic [5:0]          m1_axi_wid_o,
  output logic [AxiBits-1:0]  m1_axi_wdata_o,
  output logic [StrbBits-1:0] m1_axi_wstrb_o,
  output logic                m1_axi_wlast_o,
  output logic                m1_axi_wvalid_o,
  input  logic                m1_axi_wready_i,
  input  logic [5:0]          m1_axi_bid_i,
  input  logic [1:0]          m1_axi_bresp_i,
  input  logic                m1_axi_bvalid_i,
  output logic                m1_axi_bready_o
);

  // Control.
  logic        clear, clear_counters, begin_segment, stop, run;
  logic        dma_rst_n;
  logic        array_reset_q, vector_reset_q, coefficient_reset_q;
  logic [31:0] base, seg_address, seg_count, fetch_index;
  logic        finished, drained, settled;
  logic [3:0]  error;
  logic [2:0]  error_engine;
  logic [31:0] error_index_q;
  logic [4:0]  counter;
  logic [63:0] counter_data;
  logic [NumCounters-1:0][2:0] increment;

  // Load and store engines end their bursts after an error; the others stop where they are. Each of these has a register of its
  // own, high to reset as flip-flops take it: what one alone would drive is too far apart. They follow each other because
  // synthesis makes one of equal ones.
  always_ff @(posedge clk_i) begin
    dma_rst_n           <= rst_ni && !clear;
    array_reset_q       <= !rst_ni || clear || stop;
    vector_reset_q      <= array_reset_q;
    coefficient_reset_q <= vector_reset_q;
  end

  // Fetch and issue, by engine.
  logic                                  fetch_idle;
  logic [3:0]                            fetch_error;
  logic [NumEngines-1:0]                 start_valid, start_ready, done, queued, under_way, overflow;
  logic [NumEngines-1:0][NumEngines-1:0] missing;
  load_instr_t                           load_instr;
  array_instr_t                          array_instr;
  vector_instr_t                         vector_instr;
  coefficient_instr_t                    coefficient_instr;
  store_instr_t                          store_instr;

  // Read channel of fetch and of the load engine on port 0.
  logic        fetch_arvalid, fetch_arready, fetch_rvalid;
  logic [31:0] fetch_araddr;
  logic        load_arvalid, load_arready, load_rvalid, load_rready;
  logic [5:0]  load_arid;
  logic [31:0] load_araddr;
  logic [3:0]  load_arlen;

  // DMA to and from the memories.
  logic                load_idle, load_wait, store_idle, store_wait;
  logic [3:0]          load_error, store_error, coefficient_error;
  logic                dma_wreq, dma_wgnt, dma_rreq, dma_rgnt;
  logic [3:0]          dma_wsel, dma_rsel;
  logic [15:0]         dma_waddr, dma_raddr;
  logic [MemBits-1:0]  dma_wdata, dma_rdata;
  logic [15:0]         image_count;

  // Memory ports.
  logic                a_ren, w_ren, bl_ren, p_ren, load_il_ren, store_il_ren, mi_ren, u_ren, v_ren;
  logic [15:0]         a_addr, w_addr, bl_addr, p_addr, load_il_addr, store_il_addr, mi_addr, u_addr, v_addr;
  logic [WideBits-1:0] a_rdata, w_rdata, mi_rdata, u_rdata, v_rdata;
  logic [63:0]         bl_rdata, c_rdata;
  logic [31:0]         p_rdata, load_il_rdata, store_il_rdata;
  logic                o_wen, mo_wen, u_wen, v_wen;
  logic [15:0]         o_waddr, mo_waddr, u_waddr, v_waddr;
  logic [WideBits-1:0] o_wdata, mo_wdata, u_wdata, v_wdata;
  logic                vc_rclaim, vc_rreq, vc_rgnt, vc_wclaim, vc_wreq, vc_wgnt;
  logic                cc_rclaim, cc_rreq, cc_rgnt, cc_wreq, cc_wgnt;
  logic [15:0]         vc_raddr, vc_waddr, cc_raddr, cc_waddr;
  logic [63:0]         vc_wdata, cc_wdata;

  // Accumulators.
  logic               acc_valid, acc_max, acc_busy, acc_conflict, vec_ren, vec_clear;
  logic [15:0]        acc_addr, vec_addr;
  logic [AccBits-1:0] acc_data, vec_rdata;

  // Events that only the engines know.
  logic       ev_slot, ev_mac, ev_mac_pair, ev_block, ev_drain, ev_vector, ev_wide, ev_scalar;
  logic [1:0] ev_product;

  // Of the other engines `done` says all; responses on port 0 need no id besides the top bit.
  logic array_idle, vector_idle, coefficient_idle, unused_idle;
  assign unused_idle = ^{array_idle, vector_idle, coefficient_idle};

  control #(.ConfigHash(ConfigHash)) u_control (
    .clk_i,
    .rst_ni,
    .s_axi_awaddr_i,
    .s_axi_awvalid_i,
    .s_axi_awready_o,
    .s_axi_wdata_i,
    .s_axi_wstrb_i,
    .s_axi_wvalid_i,
    .s_axi_wready_o,
    .s_axi_bresp_o,
    .s_axi_bvalid_o,
    .s_axi_bready_i,
    .s_axi_araddr_i,
    .s_axi_arvalid_i,
    .s_axi_arready_o,
    .s_axi_rdata_o,
    .s_axi_rresp_o,
    .s_axi_rvalid_o,
    .s_axi_rready_i,
    .irq_o,
    .clear_o         (clear),
    .clear_counters_o(clear_counters),
    .start_o         (begin_segment),
    .stop_o          (stop),
    .run_o           (run),
    .base_o          (base),
    .seg_address_o   (seg_address),
    .seg_count_o     (seg_count),
    .finished_i      (finished),
    .drained_i       (drained),
    .error_i         (error),
    .error_engine_i  (error_engine),
    .index_i         (error_index_q),
    .counter_o       (counter),
    .counter_data_i  (counter_data),
    .settled_i       (settled)
  );

  assign drained = fetch_idle && load_idle && store_idle;

  // What goes wrong is known last in a cycle: it is chosen from a cycle later, and shown with the instruction that fetch was at.
  logic [3:0]            fetch_error_q, load_error_q, store_error_q, coefficient_error_q;
  logic                  acc_conflict_q;
  logic [NumEngines-1:0] overflow_q;

  always_ff @(posedge clk_i) begin
    fetch_error_q       <= rst_ni ? fetch_error : ErrorNone;
    load_error_q        <= rst_ni ? load_error : ErrorNone;
    store_error_q       <= rst_ni ? store_error : ErrorNone;
    coefficient_error_q <= rst_ni ? coefficient_error : ErrorNone;
    acc_conflict_q      <= rst_ni && acc_conflict;
    overflow_q          <= rst_ni ? overflow : '0;
    error_index_q       <= fetch_index;
  end

  first_error u_first_error (
    .fetch_error_i      (fetch_error_q),
    .load_error_i       (load_error_q),
    .store_error_i      (store_error_q),
    .coefficient_error_i(coefficient_error_q),
    .acc_conflict_i     (acc_conflict_q),
    .overflow_i         (overflow_q),
    .error_o            (error),
    .engine_o           (error_engine)
  );

  counters #(.G(G), .AxiBits(AxiBits)) u_counters (
    .clk_i,
    .rst_ni,
    .clear_i    (clear_counters),
    .run_i      (run),
    .increment_i(increment),
    .settled_o  (settled),
    .raddr_i    (counter),
    .rdata_o    (counter_data)
  );

  logic array_waits;  // the array's next instruction lacks a token and none is under way
  assign array_waits = !under_way[EngineArray] && missing[EngineArray] != '0;

  // What is known last in a cycle counts in the next one; a segment never ends so soon behind it.
  logic       store_reads_pad_q, store_reads_table_q;   // a word that the store engine reads, of C or not
  logic       load_writes_pad_q, load_writes_table_q;   // the same of load; nor one of the lists and programs
  logic [1:0] read_beat_q, write_beat_q;

  always_ff @(posedge clk_i) begin
    store_reads_pad_q   <= dma_rgnt && dma_rsel != MemC;
    store_reads_table_q <= dma_rgnt && dma_rsel == MemC;
    load_writes_pad_q   <= dma_wgnt && dma_wsel < MemC;
    load_writes_table_q <= dma_wgnt && dma_wsel == MemC;
    read_beat_q         <= {m1_axi_rvalid_i && m1_axi_rready_o, m0_axi_rvalid_i && m0_axi_rready_o};
    write_beat_q        <= {m1_axi_wvalid_o && m1_axi_wready_i, m0_axi_wvalid_o && m0_axi_wready_i};
  end

  always_comb begin
    increment                          = '0;
    increment[CounterCycles]           = 3'd1;
    increment[CounterSlotsForward]     = 3'(ev_slot && ev_product == 2'd0);
    increment[CounterSlotsGradInput]   = 3'(ev_slot && ev_product == 2'd1);
    increment[CounterSlotsGradWeight]  = 3'(ev_slot && ev_product == 2'd2);
    increment[CounterSlotsPool]        = 3'(ev_slot && ev_product == 2'd3);
    increment[CounterMacsInt8]         = 3'(ev_mac);
    increment[CounterMacsInt4]         = 3'(ev_mac_pair);
    increment[CounterWeightBlocks]     = 3'(ev_block);
    increment[CounterDrainedRows]      = 3'(ev_drain);
    increment[CounterVectors]          = 3'(ev_vector);
    increment[CounterVectorsWide]      = 3'(ev_wide);
    increment[CounterScalarOps]        = 3'(ev_scalar);
    increment[CounterSpadReads]        = 3'(a_ren) + 3'(w_ren) + 3'(u_ren) + 3'(v_ren) + 3'(mi_ren)
                                       + 3'(store_reads_pad_q);
    increment[CounterSpadWrites]       = 3'(o_wen) + 3'(u_wen) + 3'(v_wen) + 3'(mo_wen)
                                       + 3'(load_writes_pad_q);
    increment[CounterAccReads]         = 3'(acc_valid) + 3'(vec_ren);
    increment[CounterAccWrites]        = 3'(acc_valid) + 3'(vec_ren && vec_clear);
    increment[CounterTableReads]       = 3'(vc_rgnt || (cc_rreq && cc_rgnt)) + 3'(store_reads_table_q);
    increment[CounterTableWrites]      = 3'(vc_wgnt || (cc_wreq && cc_wgnt)) + 3'(load_writes_table_q);
    increment[CounterDdrReadBytes]     = 3'(read_beat_q[0]) + 3'(read_beat_q[1]);
    increment[CounterDdrWriteBytes]    = 3'(write_beat_q[0]) + 3'(write_beat_q[1]);
    increment[CounterInstructions]     = 3'($countones(done));
    increment[CounterStallArrayGap]    = 3'(!ev_slot && (under_way[EngineArray] ||
                                           (queued[EngineArray] && missing[EngineArray] == '0)));
    increment[CounterStallArrayLoad]   = 3'(array_waits && missing[EngineArray][EngineLoad]);
    increment[CounterStallArrayVector] = 3'(array_waits && !missing[EngineArray][EngineLoad] &&
                                           missing[EngineArray][EngineVector]);
    increment[CounterStallArrayOther]  = 3'(array_waits && !missing[EngineArray][EngineLoad] &&
                                           !missing[EngineArray][EngineVector]);
    increment[CounterStallArrayEmpty]  = 3'(!under_way[EngineArray] && !queued[EngineArray]);
    increment[CounterStallLoadToken]   = 3'(!under_way[EngineLoad] && missing[EngineLoad] != '0);
    increment[CounterStallVectorToken] = 3'(!under_way[EngineVector] && missing[EngineVector] != '0);
    increment[CounterStallCoefficientToken] =
        3'(!under_way[EngineCoefficient] && missing[EngineCoefficient] != '0);
    increment[CounterStallStoreToken]  = 3'(!under_way[EngineStore] && missing[EngineStore] != '0);
    increment[CounterStallRead]        = 3'(load_wait);
    increment[CounterStallWrite]       = 3'(store_wait);
  end

  instruction_unit #(.AxiBits(AxiBits), .PassTaps(PassTaps)) u_instructions (
    .clk_i,
    .rst_ni,
    .clear_i            (clear),
    .stop_i             (stop),
    .start_i            (begin_segment),
    .address_i          (seg_address),
    .count_i            (seg_count),
    .finished_o         (finished),
    .fetch_idle_o       (fetch_idle),
    .fetch_index_o      (fetch_index),
    .fetch_error_o      (fetch_error),
    .overflow_o         (overflow),
    .arvalid_o          (fetch_arvalid),
    .arready_i          (fetch_arready),
    .araddr_o           (fetch_araddr),
    .rvalid_i           (fetch_rvalid),
    .rdata_i            (m0_axi_rdata_i),
    .rresp_i            (m0_axi_rresp_i),
    .start_valid_o      (start_valid),
    .start_ready_i      (start_ready),
    .load_instr_o       (load_instr),
    .array_instr_o      (array_instr),
    .vector_instr_o     (vector_instr),
    .coefficient_instr_o(coefficient_instr),
    .store_instr_o      (store_instr),
    .done_i             (done),
    .queued_o           (queued),
    .under_way_o        (under_way),
    .missing_o          (missing)
  );

  read_arbiter u_read_arbiter (
    .clk_i,
    .rst_ni,
    .a_arvalid_i(fetch_arvalid),
    .a_arready_o(fetch_arready),
    .a_araddr_i (fetch_araddr),
    .a_arlen_i  (4'(InstructionBits / AxiBits - 1)),
    .a_rvalid_o (fetch_rvalid),
    .a_rready_i (1'b1),
    .b_arvalid_i(load_arvalid),
    .b_arready_o(load_arready),
    .b_arid_i   (load_arid),
    .b_araddr_i (load_araddr),
    .b_arlen_i  (load_arlen),
    .b_rvalid_o (load_rvalid),
    .b_rready_i (load_rready),
    .arvalid_o  (m0_axi_arvalid_o),
    .arready_i  (m0_axi_arready_i),
    .arid_o     (m0_axi_arid_o),
    .araddr_o   (m0_axi_araddr_o),
    .arlen_o    (m0_axi_arlen_o),
    .rvalid_i   (m0_axi_rvalid_i),
    .rready_o   (m0_axi_rready_o),
    .rid_top_i  (m0_axi_rid_i[5])
  );

  // Engines.
  load_engine #(
    .G(G), .AxiBits(AxiBits), .AWords(AWords), .WWords(WWords), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords),
    .ListWords(ListWords), .BlockWords(BlockWords)
  ) u_load (
    .clk_i,
    .rst_ni          (dma_rst_n),
    .start_valid_i   (start_valid[EngineLoad]),
    .start_ready_o   (start_ready[EngineLoad]),
    .instr_i         (load_instr),
    .done_o          (done[EngineLoad]),
    .idle_o          (load_idle),
    .stop_i          (stop),
    .error_o         (load_error),
    .wait_o          (load_wait),
    .base_i          (base),
    .image_count_i   (image_count),
    .il_ren_o        (load_il_ren),
    .il_addr_o       (load_il_addr),
    .il_rdata_i      (load_il_rdata),
    .mem_wreq_o      (dma_wreq),
    .mem_wgnt_i      (dma_wgnt),
    .mem_wsel_o      (dma_wsel),
    .mem_waddr_o     (dma_waddr),
    .mem_wdata_o     (dma_wdata),
    .m0_axi_arvalid_o(load_arvalid),
    .m0_axi_arready_i(load_arready),
    .m0_axi_arid_o   (load_arid),
    .m0_axi_araddr_o (load_araddr),
    .m0_axi_arlen_o  (load_arlen),
    .m0_axi_arsize_o,
    .m0_axi_arburst_o,
    .m0_axi_rvalid_i (load_rvalid),
    .m0_axi_rready_o (load_rready),
    .m0_axi_rid_i,
    .m0_axi_rdata_i,
    .m0_axi_rresp_i,
    .m0_axi_rlast_i,
    .m1_axi_arvalid_o,
    .m1_axi_arready_i,
    .m1_axi_arid_o,
    .m1_axi_araddr_o,
    .m1_axi_arlen_o,
    .m1_axi_arsize_o,
    .m1_axi_arburst_o,
    .m1_axi_rvalid_i,
    .m1_axi_rready_o,
    .m1_axi_rid_i,
    .m1_axi_rdata_i,
    .m1_axi_rresp_i,
    .m1_axi_rlast_i
  );

  store_engine #(
    .G(G), .AxiBits(AxiBits), .VectorWords(VectorWords), .MaskWords(MaskWords),
    .TableWords(TableWords), .ListWords(ListWords)
  ) u_store (
    .clk_i,
    .rst_ni          (dma_rst_n),
    .start_valid_i   (start_valid[EngineStore]),
    .start_ready_o   (start_ready[EngineStore]),
    .instr_i         (store_instr),
    .done_o          (done[EngineStore]),
    .idle_o          (store_idle),
    .stop_i          (stop),
    .error_o         (store_error),
    .wait_o          (store_wait),
    .base_i          (base),
    .image_count_i   (image_count),
    .il_ren_o        (store_il_ren),
    .il_addr_o       (store_il_addr),
    .il_rdata_i      (store_il_rdata),
    .mem_rreq_o      (dma_rreq),
    .mem_rgnt_i      (dma_rgnt),
    .mem_rsel_o      (dma_rsel),
    .mem_raddr_o     (dma_raddr),
    .mem_rdata_i     (dma_rdata),
    .m0_axi_awvalid_o,
    .m0_axi_awready_i,
    .m0_axi_awid_o,
    .m0_axi_awaddr_o,
    .m0_axi_awlen_o,
    .m0_axi_awsize_o,
    .m0_axi_awburst_o,
    .m0_axi_wvalid_o,
    .m0_axi_wready_i,
    .m0_axi_wid_o,
    .m0_axi_wdata_o,
    .m0_axi_wstrb_o,
    .m0_axi_wlast_o,
    .m0_axi_bvalid_i,
    .m0_axi_bready_o,
    .m0_axi_bid_i,
    .m0_axi_bresp_i,
    .m1_axi_awvalid_o,
    .m1_axi_awready_i,
    .m1_axi_awid_o,
    .m1_axi_awaddr_o,
    .m1_axi_awlen_o,
    .m1_axi_awsize_o,
    .m1_axi_awburst_o,
    .m1_axi_wvalid_o,
    .m1_axi_wready_i,
    .m1_axi_wid_o,
    .m1_axi_wdata_o,
    .m1_axi_wstrb_o,
    .m1_axi_wlast_o,
    .m1_axi_bvalid_i,
    .m1_axi_bready_o,
    .m1_axi_bid_i,
    .m1_axi_bresp_i
  );

  array_engine #(.G(G), .PackProducts(PackProducts), .PassTaps(PassTaps)) u_array (
    .clk_i,
    .rst_ni       (!array_reset_q),
    .start_valid_i(start_valid[EngineArray]),
    .start_ready_o(start_ready[EngineArray]),
    .instr_i      (array_instr),
    .done_o       (done[EngineArray]),
    .idle_o       (array_idle),
    .image_count_i(image_count),
    .a_ren_o      (a_ren),
    .a_addr_o     (a_addr),
    .a_rdata_i    (a_rdata),
    .w_ren_o      (w_ren),
    .w_addr_o     (w_addr),
    .w_rdata_i    (w_rdata),
    .bl_ren_o     (bl_ren),
    .bl_addr_o    (bl_addr),
    .bl_rdata_i   (bl_rdata),
    .acc_valid_o  (acc_valid),
    .acc_addr_o   (acc_addr),
    .acc_max_o    (acc_max),
    .acc_data_o   (acc_data),
    .acc_busy_i   (acc_busy),
    .ev_slot_o    (ev_slot),
    .ev_product_o (ev_product),
    .ev_mac_o     (ev_mac),
    .ev_mac_pair_o(ev_mac_pair),
    .ev_block_o   (ev_block),
    .ev_drain_o   (ev_drain)
  );

  accumulators #(.G(G), .AccRows(AccRows)) u_accumulators (
    .clk_i,
    .rst_ni,
    .acc_valid_i(acc_valid),
    .acc_addr_i (acc_addr),
    .acc_max_i  (acc_max),
    .acc_data_i (acc_data),
    .vec_ren_i  (vec_ren),
    .vec_addr_i (vec_addr),
    .vec_clear_i(vec_clear),
    .vec_rdata_o(vec_rdata),
    .conflict_o (acc_conflict),
    .busy_o     (acc_busy)
  );

  vector_engine #(.G(G)) u_vector (
    .clk_i,
    .rst_ni       (!vector_reset_q),
    .start_valid_i(start_valid[EngineVector]),
    .start_ready_o(start_ready[EngineVector]),
    .instr_i      (vector_instr),
    .done_o       (done[EngineVector]),
    .idle_o       (vector_idle),
    .image_count_i(image_count),
    .acc_ren_o    (vec_ren),
    .acc_addr_o   (vec_addr),
    .acc_clear_o  (vec_clear),
    .acc_rdata_i  (vec_rdata),
    .u_ren_o      (u_ren),
    .u_addr_o     (u_addr),
    .u_rdata_i    (u_rdata),
    .v_ren_o      (v_ren),
    .v_addr_o     (v_addr),
    .v_rdata_i    (v_rdata),
    .mi_ren_o     (mi_ren),
    .mi_addr_o    (mi_addr),
    .mi_rdata_i   (mi_rdata),
    .o_wen_o      (o_wen),
    .o_waddr_o    (o_waddr),
    .o_wdata_o    (o_wdata),
    .u_wen_o      (u_wen),
    .u_waddr_o    (u_waddr),
    .u_wdata_o    (u_wdata),
    .v_wen_o      (v_wen),
    .v_waddr_o    (v_waddr),
    .v_wdata_o    (v_wdata),
    .mo_wen_o     (mo_wen),
    .mo_waddr_o   (mo_waddr),
    .mo_wdata_o   (mo_wdata),
    .c_rclaim_o   (vc_rclaim),
    .c_rreq_o     (vc_rreq),
    .c_raddr_o    (vc_raddr),
    .c_rgnt_i     (vc_rgnt),
    .c_rdata_i    (c_rdata),
    .c_wclaim_o   (vc_wclaim),
    .c_wreq_o     (vc_wreq),
    .c_waddr_o    (vc_waddr),
    .c_wdata_o    (vc_wdata),
    .c_wgnt_i     (vc_wgnt),
    .ev_vector_o  (ev_vector),
    .ev_wide_o    (ev_wide)
  );

  coefficient_engine #(.TableWords(TableWords), .ProgramWords(ProgramWords)) u_coefficient (
    .clk_i,
    .rst_ni       (!coefficient_reset_q),
    .start_valid_i(start_valid[EngineCoefficient]),
    .start_ready_o(start_ready[EngineCoefficient]),
    .instr_i      (coefficient_instr),
    .done_o       (done[EngineCoefficient]),
    .idle_o       (coefficient_idle),
    .error_o      (coefficient_error),
    .p_ren_o      (p_ren),
    .p_addr_o     (p_addr),
    .p_rdata_i    (p_rdata),
    .c_rreq_o     (cc_rreq),
    .c_rclaim_o   (cc_rclaim),
    .c_raddr_o    (cc_raddr),
    .c_rgnt_i     (cc_rgnt),
    .c_rdata_i    (c_rdata),
    .c_wreq_o     (cc_wreq),
    .c_waddr_o    (cc_waddr),
    .c_wdata_o    (cc_wdata),
    .c_wgnt_i     (cc_wgnt),
    .ev_scalar_o  (ev_scalar)
  );

  core_memories #(
    .G(G), .AWords(AWords), .WWords(WWords), .VectorWords(VectorWords), .MaskWords(MaskWords),
    .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords),
    .BlockWords(BlockWords)
  ) u_memories (
    .clk_i,
    .rst_ni,
    .a_ren_i        (a_ren),
    .a_addr_i       (a_addr),
    .a_rdata_o      (a_rdata),
    .w_ren_i        (w_ren),
    .w_addr_i       (w_addr),
    .w_rdata_o      (w_rdata),
    .bl_ren_i       (bl_ren),
    .bl_addr_i      (bl_addr),
    .bl_rdata_o     (bl_rdata),
    .p_ren_i        (p_ren),
    .p_addr_i       (p_addr),
    .p_rdata_o      (p_rdata),
    .load_il_ren_i  (load_il_ren),
    .load_il_addr_i (load_il_addr),
    .load_il_rdata_o(load_il_rdata),
    .store_il_ren_i (store_il_ren),
    .store_il_addr_i(store_il_addr),
    .store_il_rdata_o(store_il_rdata),
    .image_count_o  (image_count),
    .u_ren_i        (u_ren),
    .u_addr_i       (u_addr),
    .u_rdata_o      (u_rdata),
    .v_ren_i        (v_ren),
    .v_addr_i       (v_addr),
    .v_rdata_o      (v_rdata),
    .mi_ren_i       (mi_ren),
    .mi_addr_i      (mi_addr),
    .mi_rdata_o     (mi_rdata),
    .u_wen_i        (u_wen),
    .u_waddr_i      (u_waddr),
    .u_wdata_i      (u_wdata),
    .v_wen_i        (v_wen),
    .v_waddr_i      (v_waddr),
    .v_wdata_i      (v_wdata),
    .o_wen_i        (o_wen),
    .o_waddr_i      (o_waddr),
    .o_wdata_i      (o_wdata),
    .mo_wen_i       (mo_wen),
    .mo_waddr_i     (mo_waddr),
    .mo_wdata_i     (mo_wdata),
    .c_rdata_o      (c_rdata),
    .vc_rclaim_i    (vc_rclaim),
    .vc_rreq_i      (vc_rreq),
    .vc_raddr_i     (vc_raddr),
    .vc_rgnt_o      (vc_rgnt),
    .vc_wclaim_i    (vc_wclaim),
    .vc_wreq_i      (vc_wreq),
    .vc_waddr_i     (vc_waddr),
    .vc_wdata_i     (vc_wdata),
    .vc_wgnt_o      (vc_wgnt),
    .cc_rclaim_i    (cc_rclaim),
    .cc_rreq_i      (cc_rreq),
    .cc_raddr_i     (cc_raddr),
    .cc_rgnt_o      (cc_rgnt),
    .cc_wreq_i      (cc_wreq),
    .cc_waddr_i     (cc_waddr),
    .cc_wdata_i     (cc_wdata),
    .cc_wgnt_o      (cc_wgnt),
    .dma_wreq_i     (dma_wreq),
    .dma_wsel_i     (dma_wsel),
    .dma_waddr_i    (dma_waddr),
    .dma_wdata_i    (dma_wdata),
    .dma_wgnt_o     (dma_wgnt),
    .dma_rreq_i     (dma_rreq),
    .dma_rsel_i     (dma_rsel),
    .dma_raddr_i    (dma_raddr),
    .dma_rgnt_o     (dma_rgnt),
    .dma_rdata_o    (dma_rdata)
  );

  // Every burst is of normal memory, bufferable.
  assign m0_axi_arcache_o = 4'b0011;
  assign m0_axi_arprot_o  = 3'b000;
  assign m0_axi_awcache_o = 4'b0011;
  assign m0_axi_awprot_o  = 3'b000;
  assign m1_axi_arcache_o = 4'b0011;
  assign m1_axi_arprot_o  = 3'b000;
  assign m1_axi_awcache_o = 4'b0011;
  assign m1_axi_awprot_o  = 3'b000;

endmodule
