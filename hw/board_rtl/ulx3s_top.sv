// ULX3S with an ECP5 85F: clock, reset and pins of serial_board_top.
//
// The board's 25 MHz oscillator drives the PLL: core clock = 25 MHz * PllFeedback / PllDivide, which ClkHz must state;
// PllOutput times it is the PLL's own frequency, 400 to 800 MHz. The serial line is the FT231X's, up to 3 Mbaud.
// btn_n_i low resets. While wifi_gpio0_o is low, the firmware that the board's ESP32 comes with loads a bitstream of its own
// in place of this one after some seconds, so it is held high. Golden: that of serial_board_top.

module ulx3s_top #(
  parameter  int unsigned G            = 8,
  parameter  int unsigned AWords       = 2048,
  parameter  int unsigned WWords       = 1024,
  parameter  int unsigned AccRows      = 512,
  parameter  int unsigned VectorWords  = 1024,
  parameter  int unsigned MaskWords    = 256,
  parameter  int unsigned TableWords   = 2048,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  int unsigned PassTaps     = 2,
  parameter  int unsigned AxiBits      = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  parameter  int unsigned MemoryWords  = 32768,
  parameter  logic [31:0] ClkHz        = 32'd50_000_000,
  parameter  logic [31:0] Baud         = 32'd3_000_000,
  parameter  int unsigned PllDivide    = 2,
  parameter  int unsigned PllFeedback  = 5,
  parameter  int unsigned PllOutput    = 10
) (
  input  logic       clk_25mhz_i,
  input  logic       btn_n_i,
  input  logic       rx_i,
  output logic       tx_o,
  output logic       wifi_gpio0_o,
  output logic [7:0] led_o
);

  logic       clk, locked, rst_n;
  logic [3:0] lights;

  EHXPLLL #(
    .CLKI_DIV        (PllDivide),
    .CLKFB_DIV       (PllFeedback),
    .CLKOP_DIV       (PllOutput),
    .CLKOP_ENABLE    ("ENABLED"),
    .CLKOP_CPHASE    (PllOutput - 1),
    .CLKOP_FPHASE    (0),
    .FEEDBK_PATH     ("CLKOP"),
    .OUTDIVIDER_MUXA ("DIVA"),
    .PLLRST_ENA      ("DISABLED"),
    .INTFB_WAKE      ("DISABLED"),
    .STDBY_ENABLE    ("DISABLED"),
    .DPHASE_SOURCE   ("DISABLED")
  ) u_pll (
    .CLKI        (clk_25mhz_i),
    .CLKFB       (clk),
    .CLKOP       (clk),
    .LOCK        (locked),
    .RST         (1'b0),
    .STDBY       (1'b0),
    .PHASESEL0   (1'b0),
    .PHASESEL1   (1'b0),
    .PHASEDIR    (1'b0),
    .PHASESTEP   (1'b0),
    .PHASELOADREG(1'b0),
    .PLLWAKESYNC (1'b0),
    .ENCLKOP     (1'b0)
  );

  reset_synchroniser u_reset (
    .clk_i (clk),
    .rst_ni(locked && btn_n_i),
    .rst_no(rst_n)
  );

  serial_board_top #(
    .G           (G),
    .AWords      (AWords),
    .WWords      (WWords),
    .AccRows     (AccRows),
    .VectorWords (VectorWords),
    .MaskWords   (MaskWords),
    .TableWords  (TableWords),
    .ProgramWords(ProgramWords),
    .ListWords   (ListWords),
    .BlockWords  (BlockWords),
    .PassTaps    (PassTaps),
    .AxiBits     (AxiBits),
    .ConfigHash  (ConfigHash),
    .MemoryWords (MemoryWords),
    .ClkHz       (ClkHz),
    .Baud        (Baud)
  ) u_board (
    .clk_i (clk),
    .rst_ni(rst_n),
    .rx_i,
    .tx_o,
    .led_o (lights)
  );

  assign led_o        = {4'b0, lights};
  assign wifi_gpio0_o = 1'b1;

endmodule
