// The ECP5's PLL as far as a simulation of a board top needs it: the clock goes through, locked from the start.

module EHXPLLL #(
  parameter int unsigned CLKI_DIV        = 1,
  parameter int unsigned CLKFB_DIV       = 1,
  parameter int unsigned CLKOP_DIV       = 1,
  parameter              CLKOP_ENABLE    = "ENABLED",
  parameter int unsigned CLKOP_CPHASE    = 0,
  parameter int unsigned CLKOP_FPHASE    = 0,
  parameter              FEEDBK_PATH     = "CLKOP",
  parameter              OUTDIVIDER_MUXA = "DIVA",
  parameter              PLLRST_ENA      = "DISABLED",
  parameter              INTFB_WAKE      = "DISABLED",
  parameter              STDBY_ENABLE    = "DISABLED",
  parameter              DPHASE_SOURCE   = "DISABLED"
) (
  input  logic CLKI,
  input  logic CLKFB,
  input  logic RST,
  input  logic STDBY,
  input  logic PHASESEL0,
  input  logic PHASESEL1,
  input  logic PHASEDIR,
  input  logic PHASESTEP,
  input  logic PHASELOADREG,
  input  logic PLLWAKESYNC,
  input  logic ENCLKOP,
  output logic CLKOP,
  output logic LOCK
);

  logic unused;

  assign CLKOP  = CLKI;
  assign LOCK   = 1'b1;
  assign unused = ^{CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
                    CLKI_DIV, CLKFB_DIV, CLKOP_DIV, CLKOP_CPHASE, CLKOP_FPHASE, CLKOP_ENABLE, FEEDBK_PATH,
                    OUTDIVIDER_MUXA, PLLRST_ENA, INTFB_WAKE, STDBY_ENABLE, DPHASE_SOURCE};

endmodule
