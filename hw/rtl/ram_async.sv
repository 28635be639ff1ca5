// Small memory of Depth words whose read is combinational: one read port, one write port.
//
//   rdata_o = mem[raddr_i]
//
// Latency 0 cycles, one write per cycle, visible in the next. Infers LUT RAM. Golden: an array.

module ram_async #(
  parameter  int unsigned Width = 64,  // bits of a word
  parameter  int unsigned Depth = 8,   // words, a power of two
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic [AddrW-1:0] raddr_i,
  output logic [Width-1:0] rdata_o,
  input  logic             wen_i,
  input  logic [AddrW-1:0] waddr_i,
  input  logic [Width-1:0] wdata_i
);

  (* ram_style = "distributed" *)
  logic [Width-1:0] mem_q [Depth];

  assign rdata_o = mem_q[raddr_i];

  always_ff @(posedge clk_i) begin
    if (wen_i) mem_q[waddr_i] <= wdata_i;
  end

endmodule
