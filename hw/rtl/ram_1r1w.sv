// Memory of Depth words: one read port, one write port, one clock.
//
//   rdata_o(t + 1) = mem[raddr_i](t) when ren_i, else it keeps its value
//
// Latency 1 cycle, one read and one write per cycle, never of one word in one cycle: what block RAM reads then is
// undefined on some parts, and no_rw_check keeps Yosys from building around it. Infers block RAM. Golden: an array.

module ram_1r1w #(
  parameter  int unsigned Width = 64,   // bits of a word
  parameter  int unsigned Depth = 512,  // words, a power of two
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             ren_i,
  input  logic [AddrW-1:0] raddr_i,
  output logic [Width-1:0] rdata_o,
  input  logic             wen_i,
  input  logic [AddrW-1:0] waddr_i,
  input  logic [Width-1:0] wdata_i
);

  (* no_rw_check *)
  logic [Width-1:0] mem_q [Depth] /* verilator public_flat_rd */;

  always_ff @(posedge clk_i) begin
    if (ren_i) rdata_o <= mem_q[raddr_i];
  end

  always_ff @(posedge clk_i) begin
    if (wen_i) mem_q[waddr_i] <= wdata_i;
  end

`ifndef SYNTHESIS
  NotReadAsWrittenA : assert property (@(posedge clk_i) !(ren_i && wen_i && raddr_i == waddr_i));
`endif

endmodule
