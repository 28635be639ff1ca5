// Signed division of 64-bit numbers, truncated towards zero.
//
//   quotient = b == 0 ? 0 : a / b          (-2^63 / -1 = -2^63)
//
// Restoring, two quotient bits per cycle: the remainder is compared with one, two and three times the divisor at once. 16
// bits in one cycle where they are all zero. From start_i to done_o 4 cycles plus (quotient bits, rounded up) / 2 plus up
// to 3. Golden: algo/scalar_ops.py divide().

module scalar_divider (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [63:0] a_i,
  input  logic [63:0] b_i,
  output logic        done_next_o, // done in the next cycle: quotient_o is there then and holds until the next start
  output logic [63:0] quotient_o
);

  typedef enum logic [2:0] {Idle, Triple, Divide, Sign, Done} state_e;

  state_e      state_q;
  logic        negative_q, skips, last, inverts;
  logic [6:0]  left_q;                     // quotient bits to come
  logic [63:0] rest_q, bits_q, divisor_q;  // bits_q: dividend bits to come, quotient bits behind them
  logic [65:0] triple_q;
  logic [65:0] wider;                      // the remainder with two more bits
  logic [66:0] less_one, less_two, less_three;
  logic [64:0] less_skipped;
  logic [63:0] skipped, turned;            // turned: dividend or quotient, negated where its sign asks for it
  logic [1:0]  digit;

  // The remainder is below the divisor, at most 2^63: four times as much fits 66 bits.
  assign wider        = {rest_q, bits_q[63:62]};
  assign less_one     = {1'b0, wider} - {3'd0, divisor_q};
  assign less_two     = {1'b0, wider} - {2'd0, divisor_q, 1'b0};
  assign less_three   = {1'b0, wider} - {1'b0, triple_q};
  assign digit        = {!less_two[66], less_two[66] ? !less_one[66] : !less_three[66]};
  assign skipped      = {rest_q[47:0], bits_q[63:48]};
  assign less_skipped = {1'b0, skipped} - {1'b0, divisor_q};
  // With 16 bits to come the remainder is made of 48: its upper 16 are zero and may be shifted out.
  assign skips        = left_q[6:4] != '0 && less_skipped[64];
  assign last         = left_q == (skips ? 7'd16 : 7'd2);
  assign done_next_o  = state_q == Sign || (state_q == Triple && divisor_q == '0);
  assign quotient_o   = bits_q;

  // A negation is an addition whose operand is inverted on its way in.
  assign inverts = state_q == Sign || a_i[63];
  assign turned  = ((state_q == Sign ? bits_q : a_i) ^ {64{inverts}}) + 64'(inverts);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Triple:  state_q <= divisor_q == '0 ? Done : Divide;
        Divide:  if (last) state_q <= Sign;
        Sign:    state_q <= Done;
        default: state_q <= start_i ? Triple : Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      negative_q <= a_i[63] != b_i[63];
      rest_q     <= '0;
      bits_q     <= turned;
      divisor_q  <= (b_i ^ {64{b_i[63]}}) + 64'(b_i[63]);
      left_q     <= 7'd64;
    end else if (state_q == Triple) begin
      triple_q <= 66'(divisor_q) + {1'b0, divisor_q, 1'b0};
      if (divisor_q == '0) bits_q <= '0;
    end else if (state_q == Divide) begin
      left_q <= left_q - (skips ? 7'd16 : 7'd2);
      if (skips) begin
        rest_q <= skipped;
        bits_q <= {bits_q[47:0], 16'b0};
      end else begin
        bits_q <= {bits_q[61:0], digit};
        unique case (digit)
          2'd0:    rest_q <= wider[63:0];
          2'd1:    rest_q <= less_one[63:0];
          2'd2:    rest_q <= less_two[63:0];
          default: rest_q <= less_three[63:0];
        endcase
      end
    end else if (state_q == Sign && negative_q) begin
      bits_q <= turned;
    end
  end

  // The remainder stays below the divisor, so bits above the 64th are zero.
  logic unused_high;
  assign unused_high = ^{less_one[65:64], less_two[65:64], less_three[65:64], less_skipped[63:0]};

`ifndef SYNTHESIS
  RestBelowDivisor: assert property (@(posedge clk_i) disable iff (!rst_ni) state_q == Divide |-> rest_q < divisor_q);
`endif

endmodule
