// Transmitter of a serial line: 8 data bits, low bit first, no parity, one stop bit.
//
// A phase of 24 bits grows by Step per clock and overflows once a bit (see uart_rx). A byte is taken when valid_i and
// ready_o; bytes follow one another without a gap. Latency 1 clock to the start bit, throughput 1 byte in 10 bits.
// Golden function: none, the bits as sent.

module uart_tx #(
  parameter logic [23:0] Step = 24'h400000
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       valid_i,
  output logic       ready_o,
  input  logic [7:0] data_i,
  output logic       tx_o
);

  logic [23:0] phase_q, phase;
  logic [3:0]  left_q;   // bits that are not sent yet, the present one included
  logic [8:0]  shift_q;  // what follows the present bit
  logic        full;

  assign {full, phase} = {1'b0, phase_q} + {1'b0, Step};
  assign ready_o       = left_q == 4'd0 || (left_q == 4'd1 && full);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_q <= '0;
      tx_o   <= 1'b1;
    end else if (valid_i && ready_o) begin
      left_q <= 4'd10;
      tx_o   <= 1'b0;
    end else if (left_q != 4'd0 && full) begin
      left_q <= left_q - 4'd1;
      tx_o   <= left_q == 4'd1 || shift_q[0];
    end
  end

  always_ff @(posedge clk_i) begin
    phase_q <= left_q == 4'd0 ? '0 : phase;
    if (valid_i && ready_o) shift_q <= {1'b1, data_i};
    else if (full) shift_q <= {1'b1, shift_q[8:1]};
  end

`ifndef SYNTHESIS
  HighAtRestA : assert property (@(posedge clk_i) disable iff (!rst_ni) left_q == 4'd0 |-> tx_o);
`endif

endmodule
