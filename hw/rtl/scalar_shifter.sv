// Shift of a 64-bit number: left with zeros, or right with sign and rounding to nearest, ties up.
//
//   result = amount >= 0 ? a << amount : (a + 2^(-amount - 1)) >> -amount        0 from 64 places on
//
// amount = wide_i ? b_i[14:0] : b_i[6:0], both signed. Two cycles: start_i takes the operands, the result is there in the next
// cycle and holds. One barrel shifts right; a left shift is one of the number reversed. -amount = ~amount + 1.
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
  logic [5:0]  places;           // to the left; to the right it is one more
  logic [64:0] turned, by1, by4, by16;  // bit 0: the last bit that is shifted out
  logic [63:0] moved_q;
  logic        round_q;

  assign right  = wide_i ? b_i[14] : b_i[6];
  assign places = b_i[5:0] ^ {6{right}};
  assign far    = wide_i && b_i[14:6] != {9{b_i[14]}};

  // Two bits of the amount at a time.
  always_comb begin
    turned = {right && a_i[63], a_i};
    for (int unsigned i = 0; i < 64; i++) if (!right) turned[i] = a_i[63-i];
    by1  = $signed(turned) >>> places[1:0];
    by4  = $signed(by1) >>> {places[3:2], 2'd0};
    by16 = $signed(by4) >>> {places[5:4], 4'd0};
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      for (int unsigned i = 0; i < 64; i++) moved_q[i] <= !far && (right ? by16[i+1] : by16[63-i]);
      round_q <= !far && right && by16[0];
    end
  end

  assign result_o = moved_q + 64'(round_q);

endmodule
