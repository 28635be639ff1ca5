// Signal activity of one bus for the virtual rails: bits that change from one value to the next.
//
//   toggles += popcount(value ^ the value before)
//
// Simulation only, under JOULEGRAD_ACTIVITY: the count stands in a public register, zero after reset.
// The instance u_<node>_activity counts <node>_toggles (host/board_sim.py).

module bus_activity #(
  parameter int unsigned Width = 128  // bits of the bus
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             valid_i,
  input logic [Width-1:0] value_i
);

  logic [63:0]      toggles_q /* verilator public_flat_rd */;
  logic [Width-1:0] value_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      toggles_q <= '0;
      value_q   <= '0;
    end else if (valid_i) begin
      value_q   <= value_i;
      toggles_q <= toggles_q + 64'($countones(value_i ^ value_q));
    end
  end

endmodule
