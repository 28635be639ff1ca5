// coefficient_engine between memories whose grants the bench allows or not.

module coefficient_engine_bench
  import joulegrad_pkg::*;
(
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            start_valid_i,
  output logic                            start_ready_o,
  input  logic [CoefficientInstrBits-1:0] instr_i,
  output logic                            done_o,
  output logic                            idle_o,
  output logic [3:0]                      error_o,
  output logic                            ev_scalar_o,
  output logic                            p_ren_o,
  output logic [15:0]                     p_addr_o,
  input  logic [31:0]                     p_rdata_i,
  input  logic                            read_allowed_i,
  output logic                            read_o,
  output logic [15:0]                     c_raddr_o,
  input  logic [63:0]                     c_rdata_i,
  input  logic                            write_allowed_i,
  output logic                            written_o,
  output logic [15:0]                     c_waddr_o,
  output logic [63:0]                     c_wdata_o
);

  logic c_rclaim, c_rreq, c_wreq, unused_claim;
  assign unused_claim = c_rclaim;
  assign read_o    = c_rreq && read_allowed_i;
  assign written_o = c_wreq && write_allowed_i;

  coefficient_engine #(
    .TableWords(1024),
    .ProgramWords(1024)
  ) u_coefficient (
    .clk_i,
    .rst_ni,
    .start_valid_i,
    .start_ready_o,
    .instr_i (coefficient_instr_t'(instr_i)),
    .done_o,
    .idle_o,
    .error_o,
    .ev_scalar_o,
    .p_ren_o,
    .p_addr_o,
    .p_rdata_i,
    .c_rclaim_o(c_rclaim),
    .c_rreq_o(c_rreq),
    .c_raddr_o,
    .c_rgnt_i(read_o),
    .c_rdata_i,
    .c_wreq_o(c_wreq),
    .c_waddr_o,
    .c_wdata_o,
    .c_wgnt_i(written_o)
  );

endmodule
