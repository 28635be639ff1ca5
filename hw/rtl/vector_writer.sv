// Result words of the vector unit: one of int8 per vector, or four of 32-bit values in four cycles.
//
//   word = out[7:0] of all lanes;   wide: word q = sign-extended out of lanes q G / 4 to (q + 1) G / 4 - 1
//
// The first word stands in the cycle behind `valid_next_i`; `out_i` stays until the last. Addresses are consecutive
// from `base_i` at `start_i`. With sums the narrow result must be int8: sums take `narrow_o`.
// Latency 0. Golden: hw/golden_vector.py _write_result().

module vector_writer #(
  parameter int unsigned G = 16
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            start_i,
  input  logic [15:0]     base_i,
  input  logic            wide_i,
  input  logic            valid_next_i,  // a vector stands in the next cycle
  input  logic [G*24-1:0] out_i,
  output logic            writing_o,  // words follow this cycle's
  output logic            wen_next_o,  // a word stands in the next cycle
  output logic [15:0]     waddr_o,
  output logic [G*8-1:0]  narrow_o,
  output logic [G*8-1:0]  wdata_o
);

  localparam int unsigned Quarter = G / 4;

  logic            wen_q;
  logic [1:0]      word_q;
  logic [G*32-1:0] extended;

  assign writing_o  = wide_i && wen_q && word_q != 2'd3;
  assign wen_next_o = valid_next_i || writing_o;

  always_comb begin
    for (int unsigned l = 0; l < G; l++) begin
      narrow_o[l*8+:8]   = out_i[l*24+:8];
      extended[l*32+:32] = 32'(signed'(out_i[l*24+:24]));
    end
    wdata_o = wide_i ? extended[word_q*(Quarter*32)+:Quarter*32] : narrow_o;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      wen_q  <= 1'b0;
      word_q <= '0;
    end else begin
      wen_q <= wen_next_o;
      if (wide_i && wen_q) word_q <= word_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) waddr_o <= base_i;
    else if (wen_q) waddr_o <= waddr_o + 1'b1;
  end

endmodule
