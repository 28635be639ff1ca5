// The scalar operations that take one or two cycles.
//
// next_i: next_op_i is the operation from the next cycle on, and a_i and b_i are its operands until the operation after it.
// The immediate comes as b_i. add, sub, addi, pack: result_o in that cycle; min, max, sat, shi, shr, mul: in the one after
// it. The result is early_o | late_o, of which late_o comes later in a cycle; for others both are 0, so that whoever has
// theirs can or it. Golden: algo/scalar_ops.py ARITHMETIC.

module scalar_alu
  import joulegrad_pkg::*;
(
  input  logic        clk_i,
  input  logic        next_i,
  input  logic [4:0]  next_op_i,
  input  logic [63:0] a_i,
  input  logic [63:0] b_i,
  output logic [63:0] early_o,
  output logic [63:0] late_o
);

  // What the operation is, one bit each: no decoder stands before the arithmetic.
  logic        first_q, subtract_q, sum_q, least_q, most_q, pack_q, sat_q, immediate_q, shift_q, multiply_q;
  logic        a_below_b_q, outside_q;
  logic [7:0]  at_b, beyond, below;
  logic [63:0] sum, folded, above, saturated, shifted, product;

  always_ff @(posedge clk_i) begin
    first_q <= next_i;
    if (next_i) begin
      subtract_q  <= next_op_i inside {ScalarSub, ScalarMin, ScalarMax};
      sum_q       <= next_op_i inside {ScalarAdd, ScalarSub, ScalarAddi};
      least_q     <= next_op_i == ScalarMin;
      most_q      <= next_op_i == ScalarMax;
      pack_q      <= next_op_i == ScalarPack;
      sat_q       <= next_op_i == ScalarSat;
      immediate_q <= next_op_i == ScalarShi;
      shift_q     <= next_op_i inside {ScalarShi, ScalarShr};
      multiply_q  <= next_op_i == ScalarMul;
    end
  end

  // One adder: a + b, a - b; the sign of a - b for min and max.
  assign sum = a_i + (b_i ^ {64{subtract_q}}) + 64'(subtract_q);

  // Bits from b upwards must all be the sign; -2^b, whose lower bits are all 0, is outside as well. Bytes are judged by
  // themselves and against b's upper bits: a shift of all 64 bits would stand before the question.
  assign at_b = 8'hFF << b_i[2:0];
  assign folded = a_i ^ {64{a_i[63]}};
  always_comb begin
    for (int unsigned i = 0; i < 8; i++) begin
      beyond[i] = 3'(i) > b_i[5:3] ? |folded[8*i+:8] : 3'(i) == b_i[5:3] && |(folded[8*i+:8] & at_b);
      below[i]  = 3'(i) < b_i[5:3] ? |a_i[8*i+:8] : 3'(i) == b_i[5:3] && |(a_i[8*i+:8] & ~at_b);
    end
  end

  assign above     = '1 << b_i[5:0];
  assign saturated = !outside_q ? a_i : a_i[63] ? above | 64'd1 : ~above;

  always_ff @(posedge clk_i) begin
    if (first_q) begin
      a_below_b_q <= a_i[63] != b_i[63] ? a_i[63] : sum[63];
      outside_q   <= |beyond || (a_i[63] && below == '0);
    end
  end

  scalar_shifter u_shifter (
    .clk_i,
    .start_i (first_q && shift_q),
    .a_i,
    .wide_i  (immediate_q),
    .b_i     (b_i[14:0]),
    .result_o(shifted)
  );

  scalar_multiplier u_multiplier (
    .clk_i,
    .start_i  (first_q && multiply_q),
    .a_i      (a_i[31:0]),
    .b_i      (b_i[31:0]),
    .product_o(product)
  );

  assign late_o  = ({64{sum_q}} & sum) | ({64{multiply_q}} & product) | ({64{shift_q}} & shifted);
  assign early_o = ({64{sat_q}} & saturated) | ({64{pack_q}} & {14'b0, b_i[17:0], 14'b0, a_i[17:0]})
                   | ({64{a_below_b_q ? least_q : most_q}} & a_i) | ({64{a_below_b_q ? most_q : least_q}} & b_i);

endmodule
