// Product of two signed 32-bit numbers.
//
// Two cycles: start_i takes the operands, the product is there in the next cycle and holds. Four partial products of
// 16 bits, each in a DSP48E1 with its register. Golden: algo/scalar_ops.py ARITHMETIC["mul"].

module scalar_multiplier (
  input  logic        clk_i,
  input  logic        start_i,
  input  logic [31:0] a_i,
  input  logic [31:0] b_i,
  output logic [63:0] product_o
);

  logic signed [16:0] a_low, b_low;
  logic signed [15:0] a_high, b_high;
  logic signed [33:0] low_q;
  logic signed [32:0] middle_a_q, middle_b_q;
  logic signed [31:0] high_q;
  logic signed [33:0] middle;

  assign a_low  = {1'b0, a_i[15:0]};
  assign b_low  = {1'b0, b_i[15:0]};
  assign a_high = a_i[31:16];
  assign b_high = b_i[31:16];

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      low_q     <= a_low * b_low;
      middle_a_q <= a_low * b_high;
      middle_b_q <= a_high * b_low;
      high_q    <= a_high * b_high;
    end
  end

  assign middle     = 34'(middle_a_q) + 34'(middle_b_q);
  assign product_o = {high_q, low_q[31:0]} + {{14{middle[33]}}, middle, 16'b0};

  logic unused_sign;
  assign unused_sign = ^low_q[33:32];

endmodule
