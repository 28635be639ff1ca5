// First in, first out: Depth entries in LUT RAM.
//
// out_data_o is the oldest entry. An entry goes in when in_valid_i and in_ready_o, out when out_valid_o
// and out_ready_i. Latency 1 cycle, one entry per cycle in and out, also when full or empty.
// Golden: a list.

module fifo #(
  parameter  int unsigned Width = 8,  // bits of an entry
  parameter  int unsigned Depth = 8,  // entries, a power of two
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);

  // Flags tell full from empty, so that whoever asks need not compare.
  logic [AddrW-1:0] write_q, read_q;
  logic             full_q, push, pop;

  assign in_ready_o = !full_q;
  assign push       = in_valid_i && in_ready_o;
  assign pop        = out_valid_o && out_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q     <= '0;
      read_q      <= '0;
      full_q      <= 1'b0;
      out_valid_o <= 1'b0;
    end else begin
      if (push) write_q <= write_q + 1'b1;
      if (pop) read_q <= read_q + 1'b1;
      full_q      <= !pop && (full_q || (push && AddrW'(write_q + 1'b1) == read_q));
      out_valid_o <= push || (out_valid_o && !(pop && AddrW'(read_q + 1'b1) == write_q));
    end
  end

  ram_async #(
    .Width(Width),
    .Depth(Depth)
  ) u_ram (
    .clk_i,
    .raddr_i(read_q),
    .rdata_o(out_data_o),
    .wen_i  (push),
    .waddr_i(write_q),
    .wdata_i(in_data_i)
  );

endmodule
