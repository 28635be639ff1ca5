// Sums per lane over the vectors of an instruction.
//
//   S1[l] += out[l];  S2[l] += out[l] * (use_v ? v[l] : out[l])      (48 bits)
//
// A vector of `valid_i` is in both sums after two cycles. `sum_o` is S1 or S2 of the `lane_i` of the cycle before, sign-extended.
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

  input  logic                read_i,
  input  logic [LaneW-1:0]    lane_i,
  input  logic                second_i,
  output logic signed [47:0]  sum_o
);

  logic               valid_q;
  logic [G-1:0][47:0] s1, s2;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= valid_i;
  end

  for (genvar l = 0; l < G; l++) begin : gen_lane
    logic signed [35:0] lane_s1;
    logic signed [42:0] lane_s2;

    assign s1[l] = 48'(lane_s1);
    assign s2[l] = 48'(lane_s2);

    channel_sum u_sum (
      .clk_i,
      .clear_i,
      .valid_i,
      .valid_late_i(valid_q),
      .out_i       (out_i[l*8+:8]),
      .factor_i    (use_v_i ? v_i[l*8+:8] : out_i[l*8+:8]),
      .s1_o        (lane_s1),
      .s2_o        (lane_s2)
    );
  end

  always_ff @(posedge clk_i) begin
    if (read_i) sum_o <= second_i ? s2[lane_i] : s1[lane_i];
  end

endmodule
