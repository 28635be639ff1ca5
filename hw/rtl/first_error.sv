// Chooses which of the errors of one cycle is shown, with the number of its engine (5: fetch).
//
// Fetch, load, store, coefficient unit, accumulator conflict (the array's), token overflow by giver, in this
// order. Latency 0 cycles.

module first_error import joulegrad_pkg::*; (
  input  logic [3:0]            fetch_error_i,
  input  logic [3:0]            load_error_i,
  input  logic [3:0]            store_error_i,
  input  logic [3:0]            coefficient_error_i,
  input  logic                  acc_conflict_i,
  input  logic [NumEngines-1:0] overflow_i,
  output logic [3:0]            error_o,  // ErrorNone: there is none
  output logic [2:0]            engine_o
);

  always_comb begin
    error_o  = ErrorNone;
    engine_o = '0;
    for (int unsigned e = NumEngines; e > 0; e--) begin
      if (overflow_i[e-1]) begin
        error_o  = ErrorTokenOverflow;
        engine_o = 3'(e - 1);
      end
    end
    if (acc_conflict_i) begin
      error_o  = ErrorAccConflict;
      engine_o = 3'(EngineArray);
    end
    if (coefficient_error_i != ErrorNone) begin
      error_o  = coefficient_error_i;
      engine_o = 3'(EngineCoefficient);
    end
    if (store_error_i != ErrorNone) begin
      error_o  = store_error_i;
      engine_o = 3'(EngineStore);
    end
    if (load_error_i != ErrorNone) begin
      error_o  = load_error_i;
      engine_o = 3'(EngineLoad);
    end
    if (fetch_error_i != ErrorNone) begin
      error_o  = fetch_error_i;
      engine_o = 3'(NumEngines);
    end
  end

endmodule
