// All a1 and a0 with 32 values of b through mac_pair: 32 pairs side by side, one per low five bits of a1; the
// rest of a1, a0 and the number of b count. b is -128 to 127 in steps of 17, and -8 to 7. Products are
// compared with SystemVerilog's own a cycle later; while en_i is off they must stay.

module mac_pair_bench #(
  parameter bit PackProducts = 1'b1
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        en_i,
  output logic [16:0] count_o,
  output logic [31:0] wrong_o  // pairs that differed, all cycles together
);

  logic signed [7:0]        a0, b, a0_q, b_q;
  logic [4:0]               b_number;
  logic [2:0]               a1_high, a1_high_q;
  logic [31:0]              differs;
  logic                     check_q;

  assign {a1_high, a0, b_number} = count_o[15:0];
  assign b = b_number[4] ? 8'(signed'(b_number[3:0])) : 8'(b_number[3:0] * 8'd17) - 8'd128;

  for (genvar i = 0; i < 32; i++) begin : gen_pairs
    logic signed [7:0]  a1_q;
    logic signed [15:0] p1, p0;

    assign a1_q = {a1_high_q, 5'(i)};

    mac_pair #(.PackProducts(PackProducts)) u_pair (
      .clk_i,
      .en_i,
      .a1_i({a1_high, 5'(i)}),
      .a0_i(a0),
      .b_i (b),
      .p1_o(p1),
      .p0_o(p0)
    );
    assign differs[i] = p1 != 16'(a1_q) * 16'(b_q) || p0 != 16'(a0_q) * 16'(b_q);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_o <= '0;
      check_q <= 1'b0;
      wrong_o <= '0;
    end else begin
      count_o <= count_o + 1'b1;
      if (en_i) check_q <= 1'b1;
      if (check_q) wrong_o <= wrong_o + 32'($countones(differs));
    end
    if (en_i) begin
      a1_high_q <= a1_high;
      a0_q      <= a0;
      b_q       <= b;
    end
  end

endmodule
