// Shift of a 64-bit number: left with zeros, or right with sign and rounding to nearest, ties up.
//
//   result = amount >= 0 ? a << amount : (a + 2^(-amount - 1)) >> -amount        0 from 64 places on
//
// Two cycles: start_i takes the operands, the result is there in the next cycle and holds. One barrel shifts right;
// a left shift is one of the number reversed. -amount = ~amount + 1. Golden: algo/scalar_ops.py shift().

module scalar_shifter (
  input  logic               clk_i,
  input  logic               start_i,
  input  logic [63:0]        a_i,
  input  logic signed [14:0] amount_i,
  output logic [63:0]        result_o
);

  logic        left, far;
  logic [14:0] places;           // to the left; to the right it is one more
  logic [63:0] reversed, turned;
  logic [64:0] shifted;          // bit 0: the last bit that is shifted out
  logic [63:0] moved_q;
  logic        round_q;

  assign left    = !amount_i[14];
  assign places  = left ? amount_i : ~amount_i;
  assign far     = places[14:6] != '0;
  assign shifted = $signed(left ? {1'b0, reversed} : {a_i[63], a_i}) >>> places[5:0];

  always_comb begin
    for (int unsigned i = 0; i < 64; i++) reversed[i] = a_i[63-i];
  end

  always_comb begin
    for (int unsigned i = 0; i < 64; i++) turned[i] = shifted[63-i];
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      moved_q <= far ? '0 : left ? turned : shifted[64:1];
      round_q <= !far && !left && shifted[0];
    end
  end

  assign result_o = moved_q + 64'(round_q);

endmodule
