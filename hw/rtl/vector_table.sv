// The vector unit's traffic with the table memory C.
//
// After `start_i`: reads the coefficients (per_channel: 2 G words, [AB, D] per lane, then the last two
// words of the record; else the record's four words) and hands them on one cycle after each grant;
// `fetched_o` rises with the last grant. After `flush_i`: writes S1 and S2 of each lane, added to the old
// word unless `sums_first`, then the maximum word; `flushed_o` pulses after the last write is granted.
// One word per cycle both ways while granted: old words wait in a queue of three. `sum_lane_o` is the lane whose sum comes as
// `sum_i` in the next cycle. Nobody else gets the port while it is claimed.
// Golden: hw/golden_vector.py _coefficients(), _add_sums().

module vector_table #(
  parameter  int unsigned G = 16,
  localparam int unsigned LaneW = $clog2(G),
  localparam int unsigned CountW = LaneW + 2,
  localparam int unsigned Groups = G / 4,
  localparam int unsigned GroupW = Groups > 1 ? $clog2(Groups) : 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,

  // Settings; c_coef and c_rec are taken in the cycle of start_i, the others must stay.
  input  logic               start_i,
  input  logic               start_per_channel_i,
  input  logic [15:0]        start_coef_i,
  input  logic [15:0]        start_rec_i,
  input  logic               per_channel_i,
  input  logic [7:0]         stride_i,
  input  logic [15:0]        rec_i,
  input  logic               sums_i,
  input  logic               sums_first_i,
  input  logic [15:0]        sum_base_i,
  input  logic               max_i,
  input  logic [15:0]        max_addr_i,

  output logic               fetched_o,
  input  logic               flush_i,
  output logic               flushed_o,

  output logic               ab_we_o,
  output logic               d_we_o,
  output logic [LaneW-1:0]   coefficient_lane_o,
  output logic [31:0]        key_o,
  output logic [5:0]         shift_o,
  output logic [31:0]        threshold_o,

  output logic [LaneW-1:0]   sum_lane_o,
  output logic               sum_second_o,
  input  logic signed [47:0] sum_i,
  output logic               max_step_o,
  output logic [GroupW-1:0]  max_group_o,
  input  logic [31:0]        maximum_i,    // key, see lane_maximum

  output logic               c_rclaim_o,
  output logic               c_rreq_o,
  output logic [15:0]        c_raddr_o,
  input  logic               c_rgnt_i,
  input  logic [63:0]        c_rdata_i,
  output logic               c_wclaim_o,
  output logic               c_wreq_o,
  output logic [15:0]        c_waddr_o,
  output logic [63:0]        c_wdata_o,
  input  logic               c_wgnt_i
);

  localparam logic [CountW-1:0] LaneWords = CountW'(2 * G);

  typedef enum logic [2:0] {Idle, Fetch, Run, Sums, Max} state_e;

  state_e              state_q, state_d;
  logic                read_q;               // a word read in the last cycle stands in c_rdata_i
  logic [CountW-1:0]   rindex, rcount_q, rindex_q, wcount_q, wnext_q, fetch_words;  // wnext_q: wcount_q + 1
  logic [15:0]         raddr_next, waddr_next;
  logic                fetch_last, flush_last, sums_last;
  logic [1:0]          old_count_q;
  logic signed [47:0]  old_q [3];
  logic                old_push, old_pop;
  logic [GroupW:0]     max_count_q;
  logic                max_known, old_max_q, new_max_known_q;
  logic [30:0]         old_word_q;           // of the old maximum, unless it is above 31 bits or below 0
  logic [32:0]         old_high_q;
  logic                old_above_q, old_below_q;
  logic [63:0]         new_max_q;
  logic [32:0]         over_max;             // the old maximum less the new one; its top bit: there is a borrow
  logic [30:0]         maximum;
  logic                unused_over;
  logic [CountW-1:0]   wcount;               // of the word after this cycle

  // Next address of a table of [first, second] words per lane.
  function automatic logic [15:0] after(logic [15:0] addr, logic second, logic [7:0] stride);
    return second ? addr + 16'(stride) - 16'd1 : addr + 16'd1;
  endfunction

  assign fetch_words = per_channel_i ? LaneWords + CountW'(2) : CountW'(4);
  assign rindex      = rcount_q;
  assign fetch_last  = state_q == Fetch && c_rgnt_i && rindex == fetch_words - 1'b1;
  assign fetched_o   = fetch_last || state_q == Run;
  assign sums_last   = state_q == Sums && c_wgnt_i && wcount_q == LaneWords - 1'b1;
  assign flush_last  = (sums_last && !max_i) || (state_q == Max && c_wgnt_i);

  always_comb begin
    unique case (state_q)
      Fetch:   c_rreq_o = 1'b1;
      Sums:    c_rreq_o = !sums_first_i && rcount_q != LaneWords
                          && old_count_q + 2'(read_q) != 2'd3;
      Max:     c_rreq_o = rcount_q == '0;
      default: c_rreq_o = 1'b0;
    endcase
    if (state_q == Fetch && !per_channel_i) raddr_next = c_raddr_o + 16'd1;
    else if (state_q == Fetch && rindex >= LaneWords - 1'b1) begin
      raddr_next = rec_i + (rindex[0] ? 16'd2 : 16'd3);
    end else raddr_next = after(c_raddr_o, rindex[0], stride_i);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q    <= Idle;
      read_q     <= 1'b0;
      flushed_o  <= 1'b0;
      c_rclaim_o <= 1'b0;
      c_wclaim_o <= 1'b0;
    end else begin
      state_q    <= state_d;
      read_q     <= c_rreq_o && c_rgnt_i;
      flushed_o  <= flush_last;
      c_rclaim_o <= state_d == Fetch || (state_d == Sums && !sums_first_i) || state_d == Max;
      c_wclaim_o <= state_d == Sums || state_d == Max;
    end
  end

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      Idle:    if (start_i) state_d = Fetch;
      Fetch:   if (fetch_last) state_d = Run;
      Run:     if (start_i) state_d = Fetch;
               else if (flush_i) state_d = sums_i ? Sums : Max;
      Sums:    if (sums_last) state_d = max_i ? Max : Idle;
      Max:     if (c_wgnt_i) state_d = Idle;
      default: state_d = Idle;
    endcase
  end

  // Read side: address and number of the next word, and the number of the word that arrives.
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      c_raddr_o <= start_per_channel_i ? start_coef_i : start_rec_i;
      rcount_q  <= '0;
    end else if (flush_i) begin
      c_raddr_o <= sums_i ? sum_base_i : max_addr_i;
      rcount_q  <= '0;
    end else if (sums_last) begin
      c_raddr_o <= max_addr_i;
      rcount_q  <= '0;
    end else if (c_rreq_o && c_rgnt_i) begin
      c_raddr_o <= raddr_next;
      rcount_q  <= rcount_q + 1'b1;
    end
    if (c_rreq_o && c_rgnt_i) rindex_q <= rindex;
  end

  // Coefficients arrive in the cycle after their grant, the last one when the state is Run already.
  logic arrived, record_word, third, fourth;

  assign arrived            = read_q && (state_q == Fetch || state_q == Run);
  assign record_word        = !per_channel_i || rindex_q[CountW-1:1] >= LaneWords[CountW-1:1];
  assign third              = record_word && (per_channel_i || rindex_q[1]) && !rindex_q[0];
  assign fourth             = record_word && (per_channel_i || rindex_q[1]) && rindex_q[0];
  assign ab_we_o            = arrived && !rindex_q[0] && !third;
  assign d_we_o             = arrived && rindex_q[0] && !fourth;
  assign coefficient_lane_o = rindex_q[LaneW:1];

  always_ff @(posedge clk_i) begin
    if (arrived && third) begin
      key_o   <= c_rdata_i[31:0];
      shift_o <= c_rdata_i[37:32];
    end
    if (arrived && fourth) threshold_o <= c_rdata_i[31:0];
  end

  // Old sums wait for their turn on the write port.
  assign old_push = read_q && state_q == Sums;
  assign old_pop  = state_q == Sums && !sums_first_i && c_wgnt_i && c_wreq_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) old_count_q <= '0;
    else old_count_q <= old_count_q + 2'(old_push) - 2'(old_pop);
    for (int unsigned i = 0; i < 3; i++) begin
      if (old_push && 32'(old_count_q) == i + 32'(old_pop)) old_q[i] <= c_rdata_i[47:0];
      else if (old_pop && i < 2) old_q[i] <= old_q[(i+1)%3];
    end
  end

  // Compared before the key's sign is added to it: that is the carry that the comparison begins with.
  assign maximum  = maximum_i[31:1] + 31'(maximum_i[0]);
  assign over_max = {1'b0, old_word_q, 1'b1} + {1'b1, ~maximum_i[31:1], !maximum_i[0]};
  assign unused_over = ^over_max[31:0];

  // Write side.
  assign waddr_next   = after(c_waddr_o, wcount_q[0], stride_i);
  assign wcount       = state_q != Sums ? '0 : c_wreq_o && c_wgnt_i ? wnext_q : wcount_q;
  assign sum_lane_o   = wcount[LaneW:1];
  assign sum_second_o = wcount[0];
  assign max_step_o   = state_q == Max && !max_known;
  assign max_group_o  = max_count_q[GroupW-1:0];
  assign max_known    = max_count_q == (GroupW + 1)'(Groups);

  always_comb begin
    if (state_q == Sums) begin
      c_wreq_o  = sums_first_i || old_count_q != '0;
      c_wdata_o = 64'(signed'(48'(sum_i + (sums_first_i ? '0 : old_q[0]))));
    end else begin
      c_wreq_o  = state_q == Max && new_max_known_q;
      c_wdata_o = new_max_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (flush_i) begin
      c_waddr_o <= sums_i ? sum_base_i : max_addr_i;
    end else if (sums_last) begin
      c_waddr_o <= max_addr_i;
    end else if (c_wreq_o && c_wgnt_i) begin
      c_waddr_o <= waddr_next;
    end
    wcount_q <= wcount;
    wnext_q  <= wcount + 1'b1;
    if (state_q != Max) begin
      max_count_q     <= '0;
      old_max_q       <= 1'b0;
      new_max_known_q <= 1'b0;
    end else begin
      if (!max_known) max_count_q <= max_count_q + 1'b1;
      if (read_q) old_max_q <= 1'b1;
      if (max_known && old_max_q) new_max_known_q <= 1'b1;
    end
    if (state_q == Max && read_q) begin
      {old_high_q, old_word_q} <= c_rdata_i;
      old_above_q <= !c_rdata_i[63] && c_rdata_i[62:31] != '0;
      old_below_q <= c_rdata_i[63];
    end
    if (state_q == Max) begin
      new_max_q <= old_above_q || (!old_below_q && !over_max[32]) ? {old_high_q, old_word_q} : {33'd0, maximum};
    end
  end

`ifndef SYNTHESIS
  ReadHeld : assert property (@(posedge clk_i) disable iff (!rst_ni)
    c_rreq_o && !c_rgnt_i |=> c_rreq_o && $stable(c_raddr_o));
  WriteHeld : assert property (@(posedge clk_i) disable iff (!rst_ni)
    c_wreq_o && !c_wgnt_i |=> c_wreq_o && $stable(c_waddr_o) && $stable(c_wdata_o));
  GrantOnlyWhenAsked : assert property (@(posedge clk_i) disable iff (!rst_ni)
    (!c_rgnt_i || c_rreq_o) && (!c_wgnt_i || c_wreq_o));
  QueueHolds : assert property (@(posedge clk_i) disable iff (!rst_ni)
    !(old_push && old_count_q == 2'd3 && !old_pop));
`endif

endmodule
