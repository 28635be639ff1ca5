// uart_rx and uart_tx, each with its pin and its bytes.

module uart_bench #(
  parameter logic [23:0] Step = 24'h400000
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,
  output logic       valid_o,
  output logic [7:0] data_o,
  output logic       error_o,
  input  logic       valid_i,
  output logic       ready_o,
  input  logic [7:0] data_i,
  output logic       tx_o
);

  uart_rx #(.Step(Step)) u_rx (
    .clk_i,
    .rst_ni,
    .rx_i,
    .valid_o,
    .data_o,
    .error_o
  );

  uart_tx #(.Step(Step)) u_tx (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i,
    .tx_o
  );

endmodule
