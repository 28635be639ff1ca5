// The sums of one lane: S1 += out; S2 += out * factor, in one DSP slice.
//
// S1 cannot pass 36 bits and S2 not 43: an instruction has fewer than 2^28 vectors, and 2^14, which is -128 squared, is the
// largest product. Latency 1 cycle to S1, 2 to S2.
// Golden: hw/golden_vector.py _add_sums().

module channel_sum (
  input  logic               clk_i,
  input  logic               clear_i,
  input  logic               valid_i,
  input  logic               valid_late_i,  // one cycle behind valid_i
  input  logic signed [7:0]  out_i,
  input  logic signed [7:0]  factor_i,
  output logic signed [35:0] s1_o,
  output logic signed [42:0] s2_o
);

  logic signed [15:0] product_q;

  always_ff @(posedge clk_i) begin
    if (clear_i) s1_o <= '0;
    else if (valid_i) s1_o <= s1_o + 36'(out_i);
    if (valid_i) product_q <= out_i * factor_i;
    if (clear_i) s2_o <= '0;
    else if (valid_late_i) s2_o <= s2_o + 43'(product_q);
  end

endmodule
