// Bring a reset from elsewhere into the clock: low two edges later, high five edges after it has gone.
//
// A processing system that loads this design while it runs has left its own reset long ago, so the part's configuration
// clears the registers: the first five cycles are a reset in any case. Golden function: none, a shift register.

module reset_synchroniser (
  input  logic clk_i,
  input  logic rst_ni,  // from anywhere
  output logic rst_no   // of this clock
);

  (* init = 4'h0 *)
  logic [3:0] shift_q;
  (* init = 1'h0 *)
  logic       rst_q;

  always_ff @(posedge clk_i) begin
    shift_q <= {shift_q[2:0], rst_ni};
    rst_q   <= &shift_q;
  end

  assign rst_no = rst_q;

endmodule
