// Chooses one of two requesters, in turn, and keeps to its choice until the grant.
//
// choice_o is the one chosen while any requests; a request that waits is never replaced by the other one, so
// what the chosen one drives stays stable. Latency 0; no cycle is lost between two grants.

module two_way_choice (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic [1:0] request_i,
  input  logic       grant_i,   // what is chosen in this cycle is served
  output logic       choice_o
);

  logic last_q, waits_q;

  assign choice_o = waits_q ? last_q : request_i[!last_q] ? !last_q : last_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      last_q  <= 1'b1;
      waits_q <= 1'b0;
    end else if (|request_i) begin
      last_q  <= choice_o;
      waits_q <= !grant_i;
    end
  end

`ifndef SYNTHESIS
  WaiterStays: assert property (@(posedge clk_i) disable iff (!rst_ni) waits_q |-> request_i[last_q]);
`endif

endmodule
