// From DDR to the engines: fetch, one queue per engine, and the tokens between them.
//
// See fetch, issue and tokens. clear_i empties all of it; stop_i ends it without a start more, and lets
// the bursts of fetch end. finished_o: every instruction of the segment is done.

module instruction_unit import joulegrad_pkg::*; #(
  parameter int unsigned AxiBits  = 64,  // bits of a beat
  parameter int unsigned PassTaps = 2    // 1: paired taps are malformed
) (
  input  logic                                  clk_i,
  input  logic                                  rst_ni,
  input  logic                                  clear_i,
  input  logic                                  stop_i,

  input  logic                                  start_i,    // one cycle: begin at address_i
  input  logic [31:0]                           address_i,
  input  logic [31:0]                           count_i,
  output logic                                  finished_o,
  output logic                                  fetch_idle_o,
  output logic [31:0]                           fetch_index_o,
  output logic [3:0]                            fetch_error_o,
  output logic [NumEngines-1:0]                 overflow_o,  // of a token, by giver

  // Read port of fetch.
  output logic                                  arvalid_o,
  input  logic                                  arready_i,
  output logic [31:0]                           araddr_o,
  input  logic                                  rvalid_i,
  input  logic [AxiBits-1:0]                    rdata_i,
  input  logic [1:0]                            rresp_i,

  // The engines.
  output logic [NumEngines-1:0]                 start_valid_o,
  input  logic [NumEngines-1:0]                 start_ready_i,
  output load_instr_t                           load_instr_o,
  output array_instr_t                          array_instr_o,
  output vector_instr_t                         vector_instr_o,
  output coefficient_instr_t                    coefficient_instr_o,
  output store_instr_t                          store_instr_o,
  input  logic [NumEngines-1:0]                 done_i,
  output logic [NumEngines-1:0]                 queued_o,    // an instruction waits to be started
  output logic [NumEngines-1:0]                 under_way_o, // one is between start and done
  output logic [NumEngines-1:0][NumEngines-1:0] missing_o    // tokens that the waiting one lacks
);

  logic                                  fetch_rst_n, queue_rst_n, fetch_done;
  logic [NumEngines-1:0]                 instr_valid, instr_ready;
  logic [InstructionBits-1:0]            instr;
  logic [NumEngines-1:0][NumEngines-1:0] available, take, give;

  // Malformed instructions are found in all bits, the engines take theirs.
  logic unused_instr;
  assign unused_instr = ^instr[InstructionBits-1:ArrayInstrBits];

  assign fetch_rst_n = rst_ni && !clear_i;
  assign queue_rst_n = fetch_rst_n && !stop_i;
  assign finished_o  = fetch_done && queued_o == '0 && under_way_o == '0;

  fetch #(
    .AxiBits (AxiBits),
    .PassTaps(PassTaps)
  ) u_fetch (
    .clk_i,
    .rst_ni       (fetch_rst_n),
    .start_i      (start_i),
    .address_i    (address_i),
    .count_i      (count_i),
    .stop_i,
    .idle_o       (fetch_idle_o),
    .done_o       (fetch_done),
    .index_o      (fetch_index_o),
    .error_o      (fetch_error_o),
    .arvalid_o,
    .arready_i,
    .araddr_o,
    .rvalid_i,
    .rdata_i,
    .rresp_i,
    .instr_valid_o(instr_valid),
    .instr_ready_i(instr_ready),
    .instr_o      (instr)
  );

  tokens u_tokens (
    .clk_i,
    .rst_ni     (queue_rst_n),
    .take_i     (take),
    .give_i     (give),
    .available_o(available),
    .overflow_o (overflow_o)
  );

  issue #(
    .Bits(LoadInstrBits)
  ) u_issue_load (
    .clk_i,
    .rst_ni       (queue_rst_n),
    .stop_i,
    .in_valid_i   (instr_valid[EngineLoad]),
    .in_ready_o   (instr_ready[EngineLoad]),
    .in_instr_i   (instr[LoadInstrBits-1:0]),
    .available_i  (available[EngineLoad]),
    .take_o       (take[EngineLoad]),
    .give_o       (give[EngineLoad]),
    .start_valid_o(start_valid_o[EngineLoad]),
    .start_ready_i(start_ready_i[EngineLoad]),
    .instr_o      (load_instr_o),
    .done_i       (done_i[EngineLoad]),
    .queued_o     (queued_o[EngineLoad]),
    .missing_o    (missing_o[EngineLoad]),
    .under_way_o  (under_way_o[EngineLoad])
  );

  issue #(
    .Bits(ArrayInstrBits)
  ) u_issue_array (
    .clk_i,
    .rst_ni       (queue_rst_n),
    .stop_i,
    .in_valid_i   (instr_valid[EngineArray]),
    .in_ready_o   (instr_ready[EngineArray]),
    .in_instr_i   (instr[ArrayInstrBits-1:0]),
    .available_i  (available[EngineArray]),
    .take_o       (take[EngineArray]),
    .give_o       (give[EngineArray]),
    .start_valid_o(start_valid_o[EngineArray]),
    .start_ready_i(start_ready_i[EngineArray]),
    .instr_o      (array_instr_o),
    .done_i       (done_i[EngineArray]),
    .queued_o     (queued_o[EngineArray]),
    .missing_o    (missing_o[EngineArray]),
    .under_way_o  (under_way_o[EngineArray])
  );

  issue #(
    .Bits(VectorInstrBits)
  ) u_issue_vector (
    .clk_i,
    .rst_ni       (queue_rst_n),
    .stop_i,
    .in_valid_i   (instr_valid[EngineVector]),
    .in_ready_o   (instr_ready[EngineVector]),
    .in_instr_i   (instr[VectorInstrBits-1:0]),
    .available_i  (available[EngineVector]),
    .take_o       (take[EngineVector]),
    .give_o       (give[EngineVector]),
    .start_valid_o(start_valid_o[EngineVector]),
    .start_ready_i(start_ready_i[EngineVector]),
    .instr_o      (vector_instr_o),
    .done_i       (done_i[EngineVector]),
    .queued_o     (queued_o[EngineVector]),
    .missing_o    (missing_o[EngineVector]),
    .under_way_o  (under_way_o[EngineVector])
  );

  issue #(
    .Bits(CoefficientInstrBits)
  ) u_issue_coefficient (
    .clk_i,
    .rst_ni       (queue_rst_n),
    .stop_i,
    .in_valid_i   (instr_valid[EngineCoefficient]),
    .in_ready_o   (instr_ready[EngineCoefficient]),
    .in_instr_i   (instr[CoefficientInstrBits-1:0]),
    .available_i  (available[EngineCoefficient]),
    .take_o       (take[EngineCoefficient]),
    .give_o       (give[EngineCoefficient]),
    .start_valid_o(start_valid_o[EngineCoefficient]),
    .start_ready_i(start_ready_i[EngineCoefficient]),
    .instr_o      (coefficient_instr_o),
    .done_i       (done_i[EngineCoefficient]),
    .queued_o     (queued_o[EngineCoefficient]),
    .missing_o    (missing_o[EngineCoefficient]),
    .under_way_o  (under_way_o[EngineCoefficient])
  );

  issue #(
    .Bits(StoreInstrBits)
  ) u_issue_store (
    .clk_i,
    .rst_ni       (queue_rst_n),
    .stop_i,
    .in_valid_i   (instr_valid[EngineStore]),
    .in_ready_o   (instr_ready[EngineStore]),
    .in_instr_i   (instr[StoreInstrBits-1:0]),
    .available_i  (available[EngineStore]),
    .take_o       (take[EngineStore]),
    .give_o       (give[EngineStore]),
    .start_valid_o(start_valid_o[EngineStore]),
    .start_ready_i(start_ready_i[EngineStore]),
    .instr_o      (store_instr_o),
    .done_i       (done_i[EngineStore]),
    .queued_o     (queued_o[EngineStore]),
    .missing_o    (missing_o[EngineStore]),
    .under_way_o  (under_way_o[EngineStore])
  );

endmodule
