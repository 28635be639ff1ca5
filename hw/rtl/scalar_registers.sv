// Sixteen 64-bit registers that are all zero after clear_i.
//
// Two combinational reads, one write per cycle, visible in the next. A register that was not written since the last
// clear reads as 0. A clear beats a write in the same cycle. Golden: algo/scalar_ops.py run().

module scalar_registers (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        clear_i,
  input  logic        wen_i,
  input  logic [3:0]  waddr_i,
  input  logic [63:0] wdata_i,
  input  logic [3:0]  a_addr_i,
  output logic [63:0] a_data_o,
  input  logic [3:0]  b_addr_i,
  output logic [63:0] b_data_o
);

  logic [15:0] written_q;
  logic [63:0] a_data, b_data;

  assign a_data_o = written_q[a_addr_i] ? a_data : '0;
  assign b_data_o = written_q[b_addr_i] ? b_data : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) written_q <= '0;
    else if (wen_i) written_q[waddr_i] <= 1'b1;
  end

  ram_async #(
    .Width(64),
    .Depth(16)
  ) u_a (
    .clk_i,
    .raddr_i(a_addr_i),
    .rdata_o(a_data),
    .wen_i,
    .waddr_i,
    .wdata_i
  );

  ram_async #(
    .Width(64),
    .Depth(16)
  ) u_b (
    .clk_i,
    .raddr_i(b_addr_i),
    .rdata_o(b_data),
    .wen_i,
    .waddr_i,
    .wdata_i
  );

endmodule
