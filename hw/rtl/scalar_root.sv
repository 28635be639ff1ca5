// Square root of a 64-bit number, rounded down.
//
//   root = a < 0 ? 0 : floor(sqrt(a))
//
// Digit by digit, two radicand bits per cycle; 16 leading zeros at once. From start_i to done_o 2 cycles plus half
// the radicand's bits, plus up to 11. Golden: algo/scalar_ops.py square_root().

module scalar_root (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [63:0] a_i,
  output logic        done_next_o,  // done in the next cycle: root_o is there then and holds until the next start
  output logic [31:0] root_o
);

  logic        busy_q, zeros_q, skips, digit;  // zeros_q: of the radicand, nothing but zeros has come so far
  logic        last;
  logic [5:0]  left_q;      // root bits to come
  logic [63:0] radicand_q;
  logic [31:0] root_q;
  logic [33:0] rest_q;      // at most twice the root
  logic [35:0] rest, trial;

  assign rest   = {rest_q, radicand_q[63:62]};
  assign trial  = {2'b0, root_q, 2'b01};
  assign digit  = rest >= trial;
  assign skips  = left_q[5:3] != '0 && zeros_q && radicand_q[63:48] == '0;
  assign last   = left_q == (skips ? 6'd8 : 6'd1);
  assign done_next_o = start_i ? a_i[63] : busy_q && last;
  assign root_o = root_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else if (start_i) busy_q <= !a_i[63];
    else if (last) busy_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      radicand_q <= a_i;
      root_q     <= '0;
      rest_q     <= '0;
      zeros_q    <= 1'b1;
      left_q     <= 6'd32;
    end else if (busy_q) begin
      radicand_q <= skips ? radicand_q << 16 : radicand_q << 2;
      zeros_q    <= zeros_q && radicand_q[63:62] == '0;
      left_q     <= left_q - (skips ? 6'd8 : 6'd1);
      if (!skips) begin
        root_q <= {root_q[30:0], digit};
        rest_q <= digit ? 34'(rest - trial) : 34'(rest);
      end
    end
  end

endmodule
