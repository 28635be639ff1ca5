// Register slice of one AXI channel: valid, ready and payload all leave from flip-flops.
//
// Latency 1 cycle, one transfer per cycle; a second word is kept for the cycle in which the receiver stops.
// Golden function: a queue.

module axi_register #(
  parameter int unsigned Width = 32  // bits of the payload
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,
  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);

  logic             spare_valid_q;
  logic [Width-1:0] spare_q;
  logic             push, move;

  assign in_ready_o = !spare_valid_q;
  assign push       = in_valid_i && in_ready_o;
  assign move       = !out_valid_o || out_ready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      out_valid_o   <= 1'b0;
      spare_valid_q <= 1'b0;
    end else if (move) begin
      out_valid_o   <= push || spare_valid_q;
      spare_valid_q <= 1'b0;
    end else if (push) begin
      spare_valid_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (push) spare_q <= in_data_i;
    if (move && (push || spare_valid_q)) out_data_o <= spare_valid_q ? spare_q : in_data_i;
  end

`ifndef SYNTHESIS
  HeldUntilTakenA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    out_valid_o && !out_ready_i |=> out_valid_o && $stable(out_data_o));
`endif

endmodule
