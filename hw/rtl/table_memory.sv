// Table memory C: 64-bit words, read by vector unit, coefficient unit and store engine, written by
// vector unit, coefficient unit and load engine.
//
//   rdata_o(t + 1) = mem[address of the reader that was granted at t]
//
// One read and one write per cycle, each to the first of vector unit, coefficient unit, DMA. An engine's claim keeps those
// behind it out: in every cycle in which it requests and in a few more, since it comes sooner in a cycle. A request is held
// with its address until its grant (those of coefficient unit and DMA stand whether they ask or not); rdata_o is that reader's
// in the one cycle after. A word is not written in the cycle in which it is read.
// Latency 1 cycle from the grant. Golden: an array.

module table_memory #(
  parameter  int unsigned Depth = 4096,  // 64-bit words, a power of two
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,

  input  logic             vector_rclaim_i,
  input  logic             vector_rreq_i,
  input  logic [AddrW-1:0] vector_raddr_i,
  output logic             vector_rgnt_o,
  input  logic             coefficient_rclaim_i,
  input  logic             coefficient_rreq_i,
  input  logic [AddrW-1:0] coefficient_raddr_i,
  output logic             coefficient_rgnt_o,
  input  logic             dma_rreq_i,
  input  logic [AddrW-1:0] dma_raddr_i,
  output logic             dma_rgnt_o,
  output logic [63:0]      rdata_o,

  input  logic             vector_wclaim_i,
  input  logic             vector_wreq_i,
  input  logic [AddrW-1:0] vector_waddr_i,
  input  logic [63:0]      vector_wdata_i,
  output logic             vector_wgnt_o,
  input  logic             coefficient_wreq_i,
  input  logic [AddrW-1:0] coefficient_waddr_i,
  input  logic [63:0]      coefficient_wdata_i,
  output logic             coefficient_wgnt_o,
  input  logic             dma_wreq_i,
  input  logic [AddrW-1:0] dma_waddr_i,
  input  logic [63:0]      dma_wdata_i,
  output logic             dma_wgnt_o
);

  logic [AddrW-1:0] raddr, waddr;
  logic [63:0]      wdata;

  assign vector_rgnt_o      = vector_rreq_i;
  assign coefficient_rgnt_o = !vector_rclaim_i;
  assign dma_rgnt_o         = !vector_rclaim_i && !coefficient_rclaim_i;

  assign vector_wgnt_o      = vector_wreq_i;
  assign coefficient_wgnt_o = !vector_wclaim_i;
  assign dma_wgnt_o         = !vector_wclaim_i && !coefficient_wreq_i;

  always_comb begin
    raddr = dma_raddr_i;
    if (coefficient_rclaim_i) raddr = coefficient_raddr_i;
    if (vector_rclaim_i) raddr = vector_raddr_i;
  end

  always_comb begin
    waddr = dma_waddr_i;
    wdata = dma_wdata_i;
    if (coefficient_wreq_i) begin
      waddr = coefficient_waddr_i;
      wdata = coefficient_wdata_i;
    end
    if (vector_wclaim_i) begin
      waddr = vector_waddr_i;
      wdata = vector_wdata_i;
    end
  end

  ram_1r1w #(
    .Width(64),
    .Depth(Depth)
  ) u_ram (
    .clk_i,
    .ren_i  (vector_rreq_i || (coefficient_rreq_i && coefficient_rgnt_o) || (dma_rreq_i && dma_rgnt_o)),
    .raddr_i(raddr),
    .rdata_o,
    .wen_i  (vector_wreq_i || (coefficient_wreq_i && coefficient_wgnt_o) || (dma_wreq_i && dma_wgnt_o)),
    .waddr_i(waddr),
    .wdata_i(wdata)
  );

`ifndef SYNTHESIS
  ClaimsWhatItAsks : assert property (@(posedge clk_i) (!vector_rreq_i || vector_rclaim_i)
    && (!vector_wreq_i || vector_wclaim_i) && (!coefficient_rreq_i || coefficient_rclaim_i));
`endif

endmodule
