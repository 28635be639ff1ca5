// Drops low bits of the array's operands, G int8 values at once: what remains are multiples of 2^s, still int8.
//
//   word_o = clamp(floor((word_i + added) / 2^s) * 2^s, -(128 - 2^s), 128 - 2^s)
//
// drop_i has the s lowest bits set; added_i, which is below 2^s, is half of 2^s to round to nearest, or a dither. With
// drop_i 0 the word passes as it is. Combinational. Golden: algo/arithmetic.py coarse().

module operand_rounder #(
  parameter int unsigned G = 16  // values in a word
) (
  input  logic [6:0]        drop_i,
  input  logic [6:0]        added_i,
  input  logic [G-1:0][7:0] word_i,
  output logic [G-1:0][7:0] word_o
);

  logic [7:0] keep, step;

  assign keep = {1'b1, ~drop_i};
  assign step = {drop_i, 1'b0} & keep;  // 2^s; 0 for s = 0

  always_comb begin
    for (int unsigned lane = 0; lane < G; lane++) begin
      automatic logic [7:0] sum = word_i[lane] + {1'b0, added_i};
      automatic logic [7:0] kept = sum & keep;
      // A sum past 127 shows in its sign; one multiple below the lowest is -128 alone.
      if (!word_i[lane][7] && sum[7]) word_o[lane] = {1'b0, ~drop_i};
      else if (kept == 8'h80) word_o[lane] = kept ^ step;
      else word_o[lane] = kept;
    end
  end

endmodule
