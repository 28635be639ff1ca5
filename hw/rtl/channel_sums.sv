// Sums per lane over the vectors of an instruction.
//
//   S1[l] += out[l];  S2[l] += out[l] * (use_v ? v[l] : out[l])      (48 bits)
//
// S1 cannot pass 36 bits: an instruction has fewer than 2^28 vectors. A vector of `valid_i` is in both
// sums after two cycles. `sum_o` is S1 or S2 of lane `lane_i`, sign-extended.
// Golden: hw/golden_vector.py _add_sums().

module channel_sums #(
  parameter  int unsigned G = 16,
  localparam int unsigned LaneW = $clog2(G)
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                clear_i,
  input  logic                valid_i,
  input  logic                use_v_i,
  input  logic [G*8-1:0]      out_i,
  input  logic [G*8-1:0]      v_i,

  input  logic [LaneW-1:0]    lane_i,
  input  logic                second_i,
  output logic signed [47:0]  sum_o
);

  logic               valid_q;
  logic signed [35:0] s1_q      [G];
  logic signed [15:0] product_q [G];
  logic signed [47:0] s2_q      [G];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (clear_i) begin
      for (int unsigned l = 0; l < G; l++) s1_q[l] <= '0;
    end else if (valid_i) begin
      for (int unsigned l = 0; l < G; l++) s1_q[l] <= s1_q[l] + 36'(signed'(out_i[l*8+:8]));
    end
    if (valid_i) begin
      for (int unsigned l = 0; l < G; l++) begin
        product_q[l] <= signed'(out_i[l*8+:8]) * signed'(use_v_i ? v_i[l*8+:8] : out_i[l*8+:8]);
      end
    end
    if (clear_i) begin
      for (int unsigned l = 0; l < G; l++) s2_q[l] <= '0;
    end else if (valid_q) begin
      for (int unsigned l = 0; l < G; l++) s2_q[l] <= s2_q[l] + 48'(product_q[l]);
    end
  end

  assign sum_o = second_i ? s2_q[lane_i] : 48'(s1_q[lane_i]);

endmodule
