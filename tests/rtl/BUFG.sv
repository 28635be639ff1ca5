// A global clock buffer of 7-series parts.

module BUFG (
  input  logic I,
  output logic O
);

  assign O = I;

endmodule
