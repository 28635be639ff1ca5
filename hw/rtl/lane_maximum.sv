// Maximum of |y| over the lanes and vectors of an instruction.
//
// A key is {y ^ sign (31 bits), sign}: its order as an unsigned number is that of |y|, and
// |y| = key[31:1] + key[0], at most 2^31 - 1. Lanes are reduced in fours, a register per four holds the running maximum,
// and `step_i` takes the registers of group `group_i` into the result after the last vector.
// A vector of `valid_i` is in its group's register after 3 cycles; throughput one vector per cycle.
// Golden: hw/golden_vector.py execute_vector().

module lane_maximum #(
  parameter  int unsigned G = 16,
  localparam int unsigned Groups = G / 4,
  localparam int unsigned GroupW = Groups > 1 ? $clog2(Groups) : 1
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              clear_i,
  input  logic              valid_i,
  input  logic [G*32-1:0]   key_i,
  input  logic              step_i,
  input  logic [GroupW-1:0] group_i,
  output logic [31:0]       maximum_o  // key of it
);

  function automatic logic [31:0] larger(logic [31:0] a, logic [31:0] b);
    return a > b ? a : b;
  endfunction

  logic [1:0]  valid_q;
  logic [31:0] pair_q  [G/2];
  logic [31:0] four_q  [Groups];
  logic [31:0] group_q [Groups];
  logic [31:0] best_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[0], valid_i};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned p = 0; p < G / 2; p++) begin
        pair_q[p] <= larger(key_i[p*64+:32], key_i[p*64+32+:32]);
      end
    end
    if (valid_q[0]) begin
      for (int unsigned f = 0; f < Groups; f++) four_q[f] <= larger(pair_q[2*f], pair_q[2*f+1]);
    end
    if (clear_i) begin
      for (int unsigned f = 0; f < Groups; f++) group_q[f] <= '0;
    end else begin
      for (int unsigned f = 0; f < Groups; f++) if (valid_q[1] && four_q[f] > group_q[f]) group_q[f] <= four_q[f];
    end
    if (clear_i) best_q <= '0;
    else if (step_i && group_q[group_i] > best_q) best_q <= group_q[group_i];
  end

  assign maximum_o = best_q;

endmodule
