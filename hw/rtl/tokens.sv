// The dependency tokens: one counting semaphore per ordered pair of engines.
//
//   count[d][s] += give_i[s][d] - take_i[d][s],  available_o[d][s] = count[d][s] > 0
//
// A token given in a cycle can be taken in the next. overflow_o[s]: engine s gave to a semaphore that is
// full (1023). Golden: hw/golden.py.

module tokens import joulegrad_pkg::*; #(
  localparam int unsigned CountW = 10  // bits of a semaphore
) (
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  input  logic [NumEngines-1:0][NumEngines-1:0] take_i,       // [taker][giver]
  input  logic [NumEngines-1:0][NumEngines-1:0] give_i,       // [giver][taker]
  output logic [NumEngines-1:0][NumEngines-1:0] available_o,  // [taker][giver]
  output logic [NumEngines-1:0]                 overflow_o    // [giver]
);

  logic [NumEngines-1:0][NumEngines-1:0][CountW-1:0] count_q;      // [taker][giver]
  logic [NumEngines-1:0][NumEngines-1:0]             available_q;  // count_q is not 0
  logic [NumEngines-1:0][NumEngines-1:0]             full_q;       // all of count_q is 1

  assign available_o = available_q;

  always_comb begin
    overflow_o = '0;
    for (int unsigned d = 0; d < NumEngines; d++) begin
      for (int unsigned s = 0; s < NumEngines; s++) begin
        if (give_i[s][d] && !take_i[d][s] && full_q[d][s]) overflow_o[s] = 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned d = 0; d < NumEngines; d++) begin
      for (int unsigned s = 0; s < NumEngines; s++) begin
        if (!rst_ni) begin
          count_q[d][s]     <= '0;
          available_q[d][s] <= 1'b0;
          full_q[d][s]      <= 1'b0;
        end else if (s != d && give_i[s][d] != take_i[d][s]) begin
          count_q[d][s]     <= count_q[d][s] + {{CountW - 1{!give_i[s][d]}}, 1'b1};  // 1 or -1
          available_q[d][s] <= give_i[s][d] || count_q[d][s] != CountW'(1);
          full_q[d][s]      <= give_i[s][d] && count_q[d][s] == {{CountW - 1{1'b1}}, 1'b0};
        end
      end
    end
  end

`ifndef SYNTHESIS
  for (genvar d = 0; d < NumEngines; d++) begin : gen_assert
    TokenThereA : assert property (@(posedge clk_i) disable iff (!rst_ni)
      (take_i[d] & ~available_o[d]) == '0);
    for (genvar s = 0; s < NumEngines; s++) begin : gen_full
      FullA : assert property (@(posedge clk_i) disable iff (!rst_ni)
        full_q[d][s] == &count_q[d][s]);
    end
  end
`endif

endmodule
