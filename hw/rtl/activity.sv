// Signal activity of the array for the virtual rails: bits that change from one value to the next.
//
//   operand_toggles += popcount(row ^ the row before) + popcount(col ^ the col before)
//   product_toggles += popcount(products ^ the products before)
//
// A row is the vector that meets the weights; a col is a word of a weight block or, in output-stationary
// passes, the second vector; products are the G x G 16-bit ones behind the multipliers. Simulation only,
// under JOULEGRAD_ACTIVITY: the counts stand in public registers, zero after reset.

module activity #(
  parameter int unsigned G     = 16,  // side of the array
  parameter int unsigned LaneW = 13   // bits of an operand in a row
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              row_valid_i,
  input logic [LaneW*G-1:0] row_i,
  input logic              col_valid_i,
  input logic [8*G-1:0]    col_i,
  input logic              product_valid_i,
  input logic [16*G*G-1:0] product_i
);

  logic [63:0]       operand_toggles_q /* verilator public_flat_rd */;
  logic [63:0]       product_toggles_q /* verilator public_flat_rd */;
  logic [LaneW*G-1:0] row_q;
  logic [8*G-1:0]    col_q;
  logic [16*G*G-1:0] product_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      operand_toggles_q <= '0;
      product_toggles_q <= '0;
      row_q             <= '0;
      col_q             <= '0;
      product_q         <= '0;
    end else begin
      if (row_valid_i) row_q <= row_i;
      if (col_valid_i) col_q <= col_i;
      if (row_valid_i || col_valid_i) begin
        operand_toggles_q <= operand_toggles_q + (row_valid_i ? 64'($countones(row_i ^ row_q)) : '0)
                                               + (col_valid_i ? 64'($countones(col_i ^ col_q)) : '0);
      end
      if (product_valid_i) begin
        product_q         <= product_i;
        product_toggles_q <= product_toggles_q + 64'($countones(product_i ^ product_q));
      end
    end
  end

endmodule
