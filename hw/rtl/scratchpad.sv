// On-chip memory shared by an engine and the DMA (load or store engine).
//
//   rdata_o(t + 1) = mem[address of the port that was granted at t]
//
// The engine is never stalled; a DMA access is granted in a cycle in which the engine leaves that
// port alone, and its grant stands whether it asks or not. Latency 1 cycle, one read and one write per cycle.
// rdata_o is the reader's in the one cycle after its read. Golden: an array.

module scratchpad #(
  parameter  int unsigned Width = 128,   // bits of a word
  parameter  int unsigned Depth = 2048,  // words, a power of two
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,

  input  logic             engine_ren_i,
  input  logic [AddrW-1:0] engine_raddr_i,
  input  logic             engine_wen_i,
  input  logic [AddrW-1:0] engine_waddr_i,
  input  logic [Width-1:0] engine_wdata_i,

  input  logic             dma_rreq_i,
  output logic             dma_rgnt_o,
  input  logic [AddrW-1:0] dma_raddr_i,
  input  logic             dma_wreq_i,
  output logic             dma_wgnt_o,
  input  logic [AddrW-1:0] dma_waddr_i,
  input  logic [Width-1:0] dma_wdata_i,

  output logic [Width-1:0] rdata_o
);

  assign dma_rgnt_o = !engine_ren_i;
  assign dma_wgnt_o = !engine_wen_i;

  ram_1r1w #(
    .Width(Width),
    .Depth(Depth)
  ) u_ram (
    .clk_i,
    .ren_i  (engine_ren_i || dma_rreq_i),
    .raddr_i(engine_ren_i ? engine_raddr_i : dma_raddr_i),
    .rdata_o,
    .wen_i  (engine_wen_i || dma_wreq_i),
    .waddr_i(engine_wen_i ? engine_waddr_i : dma_waddr_i),
    .wdata_i(engine_wen_i ? engine_wdata_i : dma_wdata_i)
  );

endmodule
