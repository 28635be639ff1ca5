// Receiver of a serial line: 8 data bits, low bit first, no parity, one stop bit.
//
// A phase of 24 bits grows by Step per clock and overflows once a bit; it starts at half with the falling edge of the
// start bit, so that every overflow is in the middle of a bit, also where a bit is no whole number of clocks.
//   Step = 2^24 * baud / clock, at most 2^23
// valid_o is a pulse with data_o; error_o is a pulse instead where the stop bit is low, after which the line must go
// high before the next byte. Latency: 2 clocks and 9.5 bits. Golden function: none, the bits as sent.

module uart_rx #(
  parameter logic [23:0] Step = 24'h400000
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,     // from anywhere
  output logic       valid_o,
  output logic [7:0] data_o,
  output logic       error_o
);

  logic        meta_q, line_q, busy_q, broken_q;
  logic [23:0] phase_q, phase;
  logic [3:0]  bit_q;
  logic        middle;

  assign {middle, phase} = {1'b0, phase_q} + {1'b0, Step};

  always_ff @(posedge clk_i) begin
    meta_q <= rx_i;
    line_q <= meta_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q   <= 1'b0;
      broken_q <= 1'b1;
      valid_o  <= 1'b0;
      error_o  <= 1'b0;
    end else begin
      valid_o <= 1'b0;
      error_o <= 1'b0;
      if (line_q) broken_q <= 1'b0;
      if (!busy_q) begin
        busy_q <= !line_q && !broken_q;
      end else if (middle) begin
        if (bit_q == 4'd0) busy_q <= !line_q;  // a start bit that is high again was noise
        if (bit_q == 4'd9) begin
          busy_q   <= 1'b0;
          broken_q <= !line_q;
          valid_o  <= line_q;
          error_o  <= !line_q;
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!busy_q) begin
      phase_q <= 24'h800000;
      bit_q   <= '0;
    end else begin
      phase_q <= phase;
      if (middle) bit_q <= bit_q + 4'd1;
      if (middle && bit_q != 4'd0 && bit_q != 4'd9) data_o <= {line_q, data_o[7:1]};
    end
  end

`ifndef SYNTHESIS
  TwoClocksPerBitA : assert property (@(posedge clk_i) Step != '0 && Step <= 24'h800000);
  ByteOrErrorA : assert property (@(posedge clk_i) disable iff (!rst_ni) !(valid_o && error_o));
`endif

endmodule
