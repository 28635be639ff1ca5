// Two products that share an operand, in one DSP48E1.
//
//   p1_o = a1_i * b_i,   p0_o = a0_i * b_i        of the last cycle with en_i; both fit 16 bits
//
// One 25 x 18 product (a1 * 2^16 + a0) * b holds both; a negative lower product would borrow from the
// upper one. The constant 2^15, added behind the multiplier, keeps the lower half from ever being
// negative (|a0 * b| < 2^15), so the upper half is exact; its top bit is inverted to take it out again.
// Pre-adder, multiplier, adder and result register are those of the DSP. With PackProducts 0 there are two
// products of 8 x 13 bits instead, for parts whose multipliers are 18 x 18; the results are the same.
//
// b_i is an int8 operand, or two operands of few bits, b' * 2^8 + b'': with a1 and a0 of 4 bits and b' and b'' of 5 each
// product is two, a * b' * 2^8 + a * b'', and one multiplier makes four.
//
// Latency 1 cycle, throughput 1 pair per cycle. Golden: the products.

module mac_pair #(
  parameter bit PackProducts = 1'b1  // both in one multiplier of 25 x 18
) (
  input  logic               clk_i,
  input  logic               en_i,
  input  logic signed [7:0]  a1_i,
  input  logic signed [7:0]  a0_i,
  input  logic signed [12:0] b_i,
  output logic signed [15:0] p1_o,
  output logic signed [15:0] p0_o
);

  if (PackProducts) begin : gen_packed
    logic signed [24:0] pair;
    logic signed [31:0] products_q;

    assign pair = {a1_i[7], a1_i, 16'b0} + 25'(a0_i);

    always_ff @(posedge clk_i) begin
      if (en_i) products_q <= 32'(pair) * 32'(b_i) + 32'sh8000;
    end

    assign p1_o = products_q[31:16];
    assign p0_o = {~products_q[15], products_q[14:0]};
  end else begin : gen_apart
    always_ff @(posedge clk_i) begin
      if (en_i) begin
        p1_o <= 16'(a1_i) * 16'(b_i);
        p0_o <= 16'(a0_i) * 16'(b_i);
      end
    end
  end

endmodule
