// All a1 and a0 with 32 values of b through mac_pair: 32 pairs side by side, one per low five bits of a1; the
// rest of a1, a0 and the number of b count. b is -128 to 127 in steps of 17, and -8 to 7. Then all a1 and a0 of
// -7 to 7 with all pairs of -15 to 15 as b. Products are compared with SystemVerilog's own a cycle later, those of
// pairs one by one; while en_i is off they must stay.

module mac_pair_bench #(
  parameter bit PackProducts = 1'b1
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        en_i,
  output logic [17:0] count_o,
  output logic [31:0] wrong_o  // pairs that differed, all cycles together
);

  logic signed [7:0]        a0, a0_count, b8, a0_q;
  logic signed [4:0]        second, second_q;
  logic [4:0]               b_number;
  logic [2:0]               a1_high;
  logic [31:0]              differs;
  logic                     pairs, pairs_q, check_q;

  assign {a1_high, a0_count, b_number} = count_o[15:0];
  assign b8     = b_number[4] ? 8'(signed'(b_number[3:0])) : 8'(b_number[3:0] * 8'd17) - 8'd128;
  assign pairs  = |count_o[17:16];
  assign a0     = pairs ? 8'(signed'(count_o[3:0])) : a0_count;
  assign second = count_o[8:4];

  for (genvar i = 0; i < 32; i++) begin : gen_pairs
    logic signed [7:0]  a1, a1_q;
    logic signed [12:0] b, b_q;
    logic signed [4:0]  first, first_q;
    logic signed [15:0] p1, p0;
    logic               right, pairs_right, whole;

    assign a1    = pairs ? 8'(signed'({count_o[9], i[2:0]})) : {a1_high, 5'(i)};
    assign first = {count_o[12:10], i[4:3]};
    assign b     = pairs ? (13'(second) << 8) + 13'(first) : 13'(b8);

    // -8 and -16 are no operands of pairs.
    assign whole = a1_q != -8'sd8 && a0_q != -8'sd8 && first_q != -5'sd16 && second_q != -5'sd16;
    assign pairs_right = p1 == (16'(a1_q) * 16'(second_q) << 8) + 16'(a1_q) * 16'(first_q)
                         && p0 == (16'(a0_q) * 16'(second_q) << 8) + 16'(a0_q) * 16'(first_q);
    assign right = p1 == 16'(a1_q) * 16'(b_q) && p0 == 16'(a0_q) * 16'(b_q);
    assign differs[i] = pairs_q ? whole && !pairs_right : !right;

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        a1_q    <= a1;
        b_q     <= b;
        first_q <= first;
      end
    end

    mac_pair #(.PackProducts(PackProducts)) u_pair (
      .clk_i,
      .en_i,
      .a1_i(a1),
      .a0_i(a0),
      .b_i (b),
      .p1_o(p1),
      .p0_o(p0)
    );
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
      a0_q     <= a0;
      second_q <= second;
      pairs_q  <= pairs;
    end
  end

endmodule
