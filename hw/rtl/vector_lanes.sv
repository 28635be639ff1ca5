// The arithmetic pipeline of the vector unit: G lanes, and what they share.
//
// A 32-bit v arrives in quarters of the lanes, so G / 4 shifters serve all of them; the low byte of v goes
// along to cycle 10 for the sums of products. Stages and equations: vector_lane.sv.
// Throughput one vector per cycle. Golden: hw/golden_vector.py execute_vector().

module vector_lanes #(
  parameter  int unsigned G = 16,
  localparam int unsigned LaneW = $clog2(G)
) (
  input  logic              clk_i,

  // Settings of the instruction.
  input  logic [2:0]        u_src_i,
  input  logic [1:0]        v_src_i,
  input  logic [4:0]        su_i,
  input  logic [4:0]        sv_i,
  input  logic [5:0]        shift_i,
  input  logic              stochastic_i,
  input  logic [1:0]        post_i,
  input  logic              sign_of_i,
  input  logic [31:0]       threshold_i,
  input  logic              mask_in_i,
  input  logic              dst_wide_i,
  input  logic              sums_v_i,
  input  logic              max_i,

  // Coefficients: A and B, or D, of one lane or of all.
  input  logic              ab_we_i,
  input  logic              d_we_i,
  input  logic              all_lanes_i,
  input  logic [LaneW-1:0]  lane_i,
  input  logic [17:0]       a_i,
  input  logic [17:0]       b_i,
  input  logic [47:0]       d_i,

  // Operands: quarter q of the lanes takes its operand when bit q is set.
  input  logic [9:2]        stage_i,
  input  logic [3:0]        u_capture_i,
  input  logic [3:0]        v_capture_i,
  input  logic [G*8-1:0]    u_rdata_i,
  input  logic [G*8-1:0]    v_rdata_i,
  input  logic [G*32-1:0]   acc_rdata_i,
  input  logic [G*16-1:0]   noise_i,  // in stage 7
  input  logic [G-1:0]      mask_i,   // in stage 9

  output logic [G-1:0]      positive_o,  // y > 0, in stage 9
  output logic [G*24-1:0]   out_o,       // from here on in cycle 10
  output logic [G*8-1:0]    v_low_o,     // low byte of v
  output logic [G*32-1:0]   key_o        // {|y| as ones' complement, sign}
);

  localparam int unsigned Quarter = G / 4;

  function automatic logic signed [24:0] to_operand(logic signed [31:0] x, logic [4:0] shift);
    logic signed [31:0] shifted;
    shifted = x >>> shift;
    if (shifted[31:24] == {8{shifted[31]}}) return shifted[24:0];
    return {shifted[31], {24{~shifted[31]}}};
  endfunction

  logic signed [34:0]    threshold, minus_threshold;
  logic [Quarter*25-1:0] v_wide;

  assign threshold       = post_i == 2'd3 ? signed'({3'd0, threshold_i}) : '0;
  assign minus_threshold = -threshold;

  always_comb begin
    for (int unsigned k = 0; k < Quarter; k++) begin
      v_wide[k*25+:25] = v_src_i == 2'd2 ? to_operand(v_rdata_i[k*32+:32], sv_i) : '0;
    end
  end

  for (genvar l = 0; l < G; l++) begin : gen_lane
    logic              ours;
    logic signed [7:0] v_narrow;

    assign ours     = all_lanes_i || lane_i == LaneW'(l);
    assign v_narrow = v_src_i == 2'd1 ? signed'(v_rdata_i[l*8+:8]) >>> sv_i : 8'sd0;

    vector_lane u_lane (
      .clk_i,
      .u_src_i,
      .su_i,
      .shift_i,
      .stochastic_i,
      .relu_i           (post_i == 2'd1),
      .sign_i           (post_i == 2'd2 || sign_of_i),
      .threshold_i      (threshold),
      .minus_threshold_i(minus_threshold),
      .mask_in_i,
      .dst_wide_i,
      .max_i,
      .ab_we_i          (ab_we_i && ours),
      .d_we_i           (d_we_i && ours),
      .a_i,
      .b_i,
      .d_i,
      .stage_i,
      .u_capture_i      (u_capture_i[l/Quarter]),
      .v_capture_i      (v_capture_i[l/Quarter]),
      .u_narrow_i       (u_rdata_i[l*8+:8]),
      .u_wide_i         (u_rdata_i[(l%Quarter)*32+:32]),
      .acc_i            (acc_rdata_i[l*32+:32]),
      .v_i              (v_wide[(l%Quarter)*25+:25] | 25'(v_narrow)),
      .noise_i          (noise_i[l*16+:16]),
      .mask_i           (mask_i[l]),
      .positive_o       (positive_o[l]),
      .out_o            (out_o[l*24+:24]),
      .key_o            (key_o[l*32+:32])
    );
  end

  // The low byte of v, captured with v and shifted along with its vector.
  logic [G*8-1:0] v_low_first_q, v_low_2_q, v_low_3_q, v_low_4_q, v_low_5_q, v_low_6_q, v_low_7_q,
                  v_low_8_q;

  always_ff @(posedge clk_i) begin
    if (sums_v_i) begin
      for (int unsigned l = 0; l < G; l++) begin
        if (v_capture_i[l/Quarter]) begin
          v_low_first_q[l*8+:8] <= v_src_i == 2'd0 ? '0 : v_src_i == 2'd2
                                   ? v_rdata_i[(l%Quarter)*32+:8] : v_rdata_i[l*8+:8];
        end
      end
      if (stage_i[2]) v_low_2_q <= v_low_first_q;
      if (stage_i[3]) v_low_3_q <= v_low_2_q;
      if (stage_i[4]) v_low_4_q <= v_low_3_q;
      if (stage_i[5]) v_low_5_q <= v_low_4_q;
      if (stage_i[6]) v_low_6_q <= v_low_5_q;
      if (stage_i[7]) v_low_7_q <= v_low_6_q;
      if (stage_i[8]) v_low_8_q <= v_low_7_q;
      if (stage_i[9]) v_low_o <= v_low_8_q;
    end
  end

endmodule
