// Signed division of 64-bit numbers, truncated towards zero.
//
//   quotient = b == 0 ? 0 : a / b          (-2^63 / -1 = -2^63)
//
// Restoring, two quotient bits per cycle; 16 bits at once where they are all zero. From start_i to done_o 2 cycles
// plus (quotient bits, rounded up) / 2 plus up to 3. Golden: algo/scalar_ops.py divide().

module scalar_divider (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [63:0] a_i,
  input  logic [63:0] b_i,
  output logic        done_o,      // for one cycle; quotient_o holds until the next start
  output logic [63:0] quotient_o
);

  logic        busy_q, negative_q, skips;
  logic [6:0]  left_q;                     // quotient bits to come
  logic [63:0] rest_q, bits_q, divisor_q;  // bits_q: dividend bits to come, quotient bits behind them
  logic [63:0] first, second, skipped, second_rest;
  logic [62:0] first_rest;
  logic        first_bit, second_bit;

  // The remainder is below the divisor, at most 2^63: with one more bit it still fits 64.
  assign first       = {rest_q[62:0], bits_q[63]};
  assign first_bit   = first >= divisor_q;
  assign first_rest  = 63'(first_bit ? first - divisor_q : first);
  assign second      = {first_rest, bits_q[62]};
  assign second_bit  = second >= divisor_q;
  assign second_rest = second_bit ? second - divisor_q : second;
  assign skipped     = {rest_q[47:0], bits_q[63:48]};
  // With 16 bits to come the remainder is made of 48: its upper 16 are zero and may be shifted out.
  assign skips       = left_q >= 7'd16 && skipped < divisor_q;
  assign done_o      = busy_q && left_q == '0;
  assign quotient_o  = negative_q ? -bits_q : bits_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (start_i) busy_q <= 1'b1;
    else if (done_o) busy_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      negative_q <= a_i[63] != b_i[63];
      rest_q     <= '0;
      bits_q     <= b_i == '0 ? '0 : a_i[63] ? -a_i : a_i;
      divisor_q  <= b_i[63] ? -b_i : b_i;
      left_q     <= b_i == '0 ? '0 : 7'd64;
    end else if (busy_q && !done_o) begin
      rest_q <= skips ? skipped : second_rest;
      bits_q <= skips ? {bits_q[47:0], 16'b0} : {bits_q[61:0], first_bit, second_bit};
      left_q <= left_q - (skips ? 7'd16 : 7'd2);
    end
  end

`ifndef SYNTHESIS
  RestBelowDivisor: assert property (@(posedge clk_i) disable iff (!rst_ni) busy_q && left_q != '0 |-> rest_q < divisor_q);
`endif

endmodule
