// The scalar operations that take one or two cycles.
//
// add, sub, min, max, addi, pack, sat: result_o belongs to the operands of this cycle. shi, shr, mul: start_i in the
// first cycle, result_o in the second. Golden: algo/scalar_ops.py ARITHMETIC.

module scalar_alu
  import joulegrad_pkg::*;
(
  input  logic               clk_i,
  input  logic               start_i,  // first cycle of an operation
  input  logic [4:0]         op_i,
  input  logic [63:0]        a_i,
  input  logic [63:0]        b_i,
  input  logic signed [14:0] imm_i,
  output logic [63:0]        result_o
);

  logic        subtract, a_below_b, outside;
  logic [63:0] addend, sum, above, saturated, shifted, product;

  // One adder: a + b, a - b, a + imm; the sign of a - b for min and max.
  assign subtract  = op_i inside {ScalarSub, ScalarMin, ScalarMax};
  assign addend    = op_i == ScalarAddi ? 64'(imm_i) : subtract ? ~b_i : b_i;
  assign sum       = a_i + addend + 64'(subtract);
  assign a_below_b = a_i[63] != b_i[63] ? a_i[63] : sum[63];

  // Bits from imm upwards must all be the sign; -2^imm, whose lower bits are all 0, is outside as well.
  assign above     = '1 << imm_i[5:0];
  assign outside   = ((a_i ^ {64{a_i[63]}}) & above) != '0 || a_i == above;
  assign saturated = !outside ? a_i : a_i[63] ? above | 64'd1 : ~above;

  scalar_shifter u_shifter (
    .clk_i,
    .start_i (start_i && (op_i inside {ScalarShi, ScalarShr})),
    .a_i,
    .amount_i(op_i == ScalarShi ? imm_i : {{8{b_i[6]}}, b_i[6:0]}),
    .result_o(shifted)
  );

  scalar_multiplier u_multiplier (
    .clk_i,
    .start_i  (start_i && op_i == ScalarMul),
    .a_i      (a_i[31:0]),
    .b_i      (b_i[31:0]),
    .product_o(product)
  );

  always_comb begin
    unique case (op_i)
      ScalarMin:            result_o = a_below_b ? a_i : b_i;
      ScalarMax:            result_o = a_below_b ? b_i : a_i;
      ScalarShi, ScalarShr: result_o = shifted;
      ScalarMul:            result_o = product;
      ScalarPack:           result_o = {14'b0, b_i[17:0], 14'b0, a_i[17:0]};
      ScalarSat:            result_o = saturated;
      default:              result_o = sum;
    endcase
  end

endmodule
