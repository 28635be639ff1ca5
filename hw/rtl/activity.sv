// Signal activity for the virtual rails: bits that change on the array's operands and results.
//
//   operand_toggles += popcount(A word ^ the A word before) + the same of W    per word read
//   product_toggles += popcount(result vector ^ the one before)               per vector accumulated
//
// Simulation only: the counts stand in public registers, cleared at the start of a segment.

module activity #(
  parameter int unsigned G = 16  // side of the array
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            clear_i,
  input logic            a_ren_i,
  input logic [8*G-1:0]  a_rdata_i,  // the word, in the cycle after a_ren_i
  input logic            w_ren_i,
  input logic [8*G-1:0]  w_rdata_i,
  input logic            acc_valid_i,
  input logic [32*G-1:0] acc_data_i
);

  logic [63:0]     operand_toggles_q /* verilator public_flat_rd */;
  logic [63:0]     product_toggles_q /* verilator public_flat_rd */;
  logic            a_read_q, w_read_q;
  logic [8*G-1:0]  a_q, w_q;
  logic [32*G-1:0] product_q;

  always_ff @(posedge clk_i) begin
    a_read_q <= a_ren_i;
    w_read_q <= w_ren_i;
    if (!rst_ni || clear_i) begin
      operand_toggles_q <= '0;
      product_toggles_q <= '0;
      a_q               <= '0;
      w_q               <= '0;
      product_q         <= '0;
    end else begin
      if (a_read_q) a_q <= a_rdata_i;
      if (w_read_q) w_q <= w_rdata_i;
      if (a_read_q || w_read_q) begin
        operand_toggles_q <= operand_toggles_q + (a_read_q ? 64'($countones(a_rdata_i ^ a_q)) : '0)
                                               + (w_read_q ? 64'($countones(w_rdata_i ^ w_q)) : '0);
      end
      if (acc_valid_i) begin
        product_q         <= acc_data_i;
        product_toggles_q <= product_toggles_q + 64'($countones(acc_data_i ^ product_q));
      end
    end
  end

endmodule
