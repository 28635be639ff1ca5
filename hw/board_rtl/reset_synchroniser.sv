// Bring a reset from elsewhere into the clock: low with the next edge, high four edges after it has gone.
//
// A processing system that loads this design while it runs has left its own reset long ago, so the part's configuration
// clears the register: the first four cycles are a reset in any case. Golden function: none, a shift register.

module reset_synchroniser (
  input  logic clk_i,
  input  logic rst_ni,  // from anywhere
  output logic rst_no   // of this clock
);

  (* init = 4'h0 *)
  logic [3:0] shift_q;

  always_ff @(posedge clk_i) begin
    shift_q <= {shift_q[2:0], rst_ni};
  end

  assign rst_no = &shift_q;

endmodule
