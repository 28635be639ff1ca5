// The vector unit: one pipelined pass per G-lane vector.
//
//   out = saturate(post(round((A u + B v + D) / 2^shift))), or a byte of it, with masks, sums, maximum and noise
//
// Throughput one vector per cycle, four cycles per vector with a 32-bit operand or result; latency 10
// cycles from read to write. U, V, O, MI, MO and accumulator ports never wait; C ports do.
// The field meanings are those of hw/architecture.md, "vector". Golden: hw/golden_vector.py.

module vector_engine
  import joulegrad_pkg::*;
#(
  parameter int unsigned G = 16  // lanes: the array's side
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             start_valid_i,
  output logic             start_ready_o,
  input  vector_instr_t    instr_i,
  output logic             done_o,
  output logic             idle_o,
  input  logic [15:0]      image_count_i,

  // Accumulator rows; data in the cycle after the read, as for all memories.
  output logic             acc_ren_o,
  output logic [15:0]      acc_addr_o,
  output logic             acc_clear_o,
  input  logic [G*32-1:0]  acc_rdata_i,

  output logic             u_ren_o,
  output logic [15:0]      u_addr_o,
  input  logic [G*8-1:0]   u_rdata_i,
  output logic             v_ren_o,
  output logic [15:0]      v_addr_o,
  input  logic [G*8-1:0]   v_rdata_i,
  output logic             mi_ren_o,
  output logic [15:0]      mi_addr_o,
  input  logic [G*8-1:0]   mi_rdata_i,

  output logic             o_wen_o,
  output logic [15:0]      o_waddr_o,
  output logic [G*8-1:0]   o_wdata_o,
  output logic             u_wen_o,
  output logic [15:0]      u_waddr_o,
  output logic [G*8-1:0]   u_wdata_o,
  output logic             v_wen_o,
  output logic [15:0]      v_waddr_o,
  output logic [G*8-1:0]   v_wdata_o,
  output logic             mo_wen_o,
  output logic [15:0]      mo_waddr_o,
  output logic [G*8-1:0]   mo_wdata_o,

  // Table memory: data in the cycle after the grant.
  output logic             c_rclaim_o,  // nobody behind it may read; in every cycle of c_rreq_o
  output logic             c_rreq_o,
  output logic [15:0]      c_raddr_o,
  input  logic             c_rgnt_i,
  input  logic [63:0]      c_rdata_i,
  output logic             c_wclaim_o,  // the same of writing
  output logic             c_wreq_o,
  output logic [15:0]      c_waddr_o,
  output logic [63:0]      c_wdata_o,
  input  logic             c_wgnt_i,

  // Counter events, one per cycle each.
  output logic             ev_vector_o,
  output logic             ev_wide_o
);

  localparam int unsigned LaneW  = $clog2(G);
  localparam int unsigned GroupW = G > 4 ? $clog2(G / 4) : 1;

  vector_instr_t      instr;
  logic               start, started_q, wen_next, fetched, drain, flush, flushed, writing, position_ready;
  logic [3:0]         u_capture, v_capture;
  logic [10:1]        stage;
  logic [10:1]        image_last;
  logic               unused;

  vector_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_valid_i,
    .start_ready_o,
    .instr_i,
    .image_count_i,
    .done_o,
    .start_o         (start),
    .instr_o         (instr),
    .fetched_i       (fetched),
    .position_ready_i(position_ready),
    .drain_o         (drain),
    .flush_o         (flush),
    .flushed_i       (flushed),
    .writing_i       (writing),
    .u_ren_o,
    .u_addr_o,
    .acc_ren_o,
    .v_ren_o,
    .v_addr_o,
    .u_capture_o     (u_capture),
    .v_capture_o     (v_capture),
    .stage_o         (stage),
    .image_last_o    (image_last)
  );

  assign idle_o      = start_ready_o && !done_o;

  // Sums and maximum begin long before the first vector comes to them.
  always_ff @(posedge clk_i) started_q <= start;

  assign acc_addr_o  = u_addr_o;
  assign acc_clear_o = acc_ren_o && instr.acc_clear;
  assign ev_vector_o = stage[1];
  assign ev_wide_o   = stage[1] && (instr.u_src == 3'd2 || instr.v_src == 2'd2 || instr.dst_wide);
  assign unused      = ^{instr, image_last};

  // Coefficients, sums and the maximum in the table memory.
  logic               ab_we, d_we, sum_second, max_step;
  logic [LaneW-1:0]   coefficient_lane, sum_lane;
  logic [31:0]        key, threshold;
  logic [5:0]         shift;
  logic signed [47:0] sum;
  logic [GroupW-1:0]  max_group;
  logic [31:0]        maximum;

  vector_table #(.G(G)) u_table (
    .clk_i,
    .rst_ni,
    .start_i            (start),
    .start_per_channel_i(instr_i.per_channel),
    .start_coef_i       (instr_i.c_coef),
    .start_rec_i        (instr_i.c_rec),
    .per_channel_i      (instr.per_channel),
    .stride_i           (instr.c_stride),
    .rec_i              (instr.c_rec),
    .sums_i             (instr.sums),
    .sums_first_i       (instr.sums_first),
    .sum_base_i         (instr.c_sum),
    .max_i              (instr.max),
    .max_addr_i         (instr.c_max),
    .fetched_o          (fetched),
    .flush_i            (flush),
    .flushed_o          (flushed),
    .ab_we_o            (ab_we),
    .d_we_o             (d_we),
    .coefficient_lane_o (coefficient_lane),
    .key_o              (key),
    .shift_o            (shift),
    .threshold_o        (threshold),
    .sum_lane_o         (sum_lane),
    .sum_second_o       (sum_second),
    .sum_i              (sum),
    .max_step_o         (max_step),
    .max_group_o        (max_group),
    .maximum_i          (maximum),
    .c_rclaim_o,
    .c_rreq_o,
    .c_raddr_o,
    .c_rgnt_i,
    .c_rdata_i,
    .c_wclaim_o,
    .c_wreq_o,
    .c_waddr_o,
    .c_wdata_o,
    .c_wgnt_i
  );

  // Noise is ready when the value to be rounded is: 4 cycles after stage 3.
  logic [31:0]     position;
  logic [G*16-1:0] noise;

  noise_position u_position (
    .clk_i,
    .rst_ni,
    .start_i     (start),
    .slot_i      (instr_i.slot),
    .px0_i       (instr_i.px0),
    .px_total_i  (instr_i.px_total),
    .ready_o     (position_ready),
    .step_i      (stage[3]),
    .image_last_i(image_last[3]),
    .position_o  (position)
  );

  noise_unit #(.G(G)) u_noise (
    .clk_i,
    .rst_ni,
    .draws_i   (instr.stochastic),
    .valid_i   (stage[3] && instr.stochastic),
    .position_i(position),
    .key_i     (key),
    .ch0_i     (instr.ch0),
    .noise_o   (noise)
  );

  logic [G-1:0]    mask, positive;
  logic [G*24-1:0] out;
  logic [G*8-1:0]  v_low;
  logic [G*32-1:0] max_key;

  vector_lanes #(.G(G)) u_lanes (
    .clk_i,
    .u_src_i      (instr.u_src),
    .v_src_i      (instr.v_src),
    .su_i         (instr.su),
    .sv_i         (instr.sv),
    .shift_i      (shift),
    .post_i       (instr.post),
    .sign_of_i    (instr.sign_of),
    .threshold_i  (threshold),
    .mask_in_i    (instr.mask_in),
    .dst_wide_i   (instr.dst_wide),
    .byte_i       (instr.byte_),
    .sums_v_i     (instr.sums_v),
    .max_i        (instr.max),
    .ab_we_i      (ab_we),
    .d_we_i       (d_we),
    .all_lanes_i  (!instr.per_channel),
    .lane_i       (coefficient_lane),
    .a_i          (c_rdata_i[17:0]),
    .b_i          (c_rdata_i[49:32]),
    .d_i          (c_rdata_i[47:0]),
    .stage_i      (stage[9:2]),
    .u_capture_i  (u_capture),
    .v_capture_i  (v_capture),
    .u_rdata_i,
    .v_rdata_i,
    .acc_rdata_i,
    .noise_i      (noise),
    .mask_i       (mask),
    .positive_o   (positive),
    .out_o        (out),
    .v_low_o      (v_low),
    .key_o        (max_key)
  );

  mask_stream #(.G(G)) u_masks (
    .clk_i,
    .rst_ni,
    .start_i         (start),
    .mi_base_i       (instr_i.mi_base),
    .mo_base_i       (instr_i.mo_base),
    .in_valid_i      (stage[7] && instr.mask_in),
    .in_image_last_i (image_last[7]),
    .in_bits_o       (mask),
    .mi_ren_o,
    .mi_addr_o,
    .mi_rdata_i,
    .out_valid_i     (stage[10] && instr.mask_out),
    .out_image_last_i(image_last[10]),
    .out_bits_i      (positive),
    .mo_wen_o,
    .mo_waddr_o,
    .mo_wdata_o
  );

  logic [G*8-1:0] narrow;

  vector_writer #(.G(G)) u_writer (
    .clk_i,
    .rst_ni,
    .start_i  (start),
    .base_i   (instr_i.o_base),
    .wide_i   (instr.dst_wide),
    .valid_next_i(stage[9]),
    .out_i    (out),
    .writing_o(writing),
    .wen_next_o(wen_next),
    .waddr_o  (o_waddr_o),
    .narrow_o (narrow),
    .wdata_o  (o_wdata_o)
  );

  // Who else wants to write waits for these, so they are known a cycle ahead.
  always_ff @(posedge clk_i) begin
    o_wen_o <= rst_ni && wen_next && instr.dst == 2'd1;
    u_wen_o <= rst_ni && wen_next && instr.dst == 2'd2;
    v_wen_o <= rst_ni && wen_next && instr.dst == 2'd3;
  end

  assign u_waddr_o = o_waddr_o;
  assign v_waddr_o = o_waddr_o;
  assign u_wdata_o = o_wdata_o;
  assign v_wdata_o = o_wdata_o;

  channel_sums #(.G(G)) u_sums (
    .clk_i,
    .rst_ni,
    .clear_i (started_q),
    .valid_i (stage[10] && instr.sums),
    .use_v_i (instr.sums_v),
    .out_i   (narrow),
    .v_i     (v_low),
    .read_i  (drain || c_wclaim_o),
    .lane_i  (sum_lane),
    .second_i(sum_second),
    .sum_o   (sum)
  );

  lane_maximum #(.G(G)) u_maximum (
    .clk_i,
    .rst_ni,
    .clear_i  (started_q),
    .valid_i  (stage[10] && instr.max),
    .key_i    (max_key),
    .step_i   (max_step),
    .group_i  (max_group),
    .maximum_o(maximum)
  );

`ifdef JOULEGRAD_ACTIVITY
  bus_activity #(
    .Width(24 * G)
  ) u_vector_activity (
    .clk_i,
    .rst_ni,
    .valid_i(stage[10]),
    .value_i(out)
  );
`endif

endmodule
