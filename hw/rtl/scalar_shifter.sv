// Shift of a 64-bit number: left with zeros, or right with sign and rounding to nearest, ties up.
//
//   result = amount >= 0 ? a << amount : (a + 2^(-amount - 1)) >> -amount        0 from 64 places on
//
// amount = wide_i ? b_i[14:0] : b_i[6:0], both signed. Two cycles: start_i takes the operands, the result is there in the next
// cycle and holds. Both are a rotation to the left by b_i[5:0], the amount modulo 64, with zeros or signs put in behind it.
// Golden: algo/scalar_ops.py shift().

module scalar_shifter (
  input  logic        clk_i,
  input  logic        start_i,
  input  logic [63:0] a_i,
  input  logic        wide_i,
  input  logic [14:0] b_i,
  output logic [63:0] result_o
);

  logic        right, far;
  logic [63:0] by16, by4, by1;  // rotated; bit 63: to the right, the last bit that is shifted out
  logic [63:0] from_b;          // bit i: i >= b_i[5:0]; a left shift keeps these bits and a right shift the others
  logic [63:0] moved_q;
  logic        round_q;

  function automatic logic [63:0] rotated(logic [63:0] x, logic [5:0] places);
    return 64'(({x, x} << places) >> 64);
  endfunction

  assign right  = wide_i ? b_i[14] : b_i[6];
  assign far    = wide_i && b_i[14:6] != {9{b_i[14]}};
  assign from_b = '1 << b_i[5:0];

  // Two bits of the amount at a time.
  assign by16 = rotated(a_i, {b_i[5:4], 4'd0});
  assign by4  = rotated(by16, {2'd0, b_i[3:2], 2'd0});
  assign by1  = rotated(by4, {4'd0, b_i[1:0]});

  always_ff @(posedge clk_i) begin
    if (start_i && far) begin
      moved_q <= '0;
      round_q <= 1'b0;
    end else if (start_i) begin
      for (int unsigned i = 0; i < 64; i++) moved_q[i] <= (from_b[i] ^ right) ? by1[i] : right && a_i[63];
      round_q <= right && by1[63];
    end
  end

  assign result_o = moved_q + 64'(round_q);

endmodule
