// Bring a reset from elsewhere into the clock: low for at least four cycles, and low at once with the next edge.
//
// Latency 4 cycles to leave reset. Golden function: none, a shift register.

module reset_synchroniser (
  input  logic clk_i,
  input  logic rst_ni,  // from anywhere
  output logic rst_no   // of this clock
);

  logic [3:0] shift_q;

  always_ff @(posedge clk_i) begin
    shift_q <= {shift_q[2:0], rst_ni};
  end

  assign rst_no = &shift_q;

endmodule
