// Joins the read channels of two masters on one AXI port: a (fetch) before b (load engine).
//
// An address is held until the port takes it. Ids with the top bit set are a's, the others b's; responses
// go back by that bit. Latency 0 cycles.

module read_arbiter (
  input  logic               clk_i,
  input  logic               rst_ni,

  input  logic               a_arvalid_i,
  output logic               a_arready_o,
  input  logic [31:0]        a_araddr_i,
  input  logic [3:0]         a_arlen_i,
  output logic               a_rvalid_o,
  input  logic               a_rready_i,

  input  logic               b_arvalid_i,
  output logic               b_arready_o,
  input  logic [5:0]         b_arid_i,
  input  logic [31:0]        b_araddr_i,
  input  logic [3:0]         b_arlen_i,
  output logic               b_rvalid_o,
  input  logic               b_rready_i,

  output logic               arvalid_o,
  input  logic               arready_i,
  output logic [5:0]         arid_o,
  output logic [31:0]        araddr_o,
  output logic [3:0]         arlen_o,
  input  logic               rvalid_i,
  output logic               rready_o,
  input  logic               rid_top_i
);

  logic held_b_q;  // b's address is on the port and not taken yet
  logic choose_a;

  assign choose_a    = a_arvalid_i && !held_b_q;
  assign arvalid_o   = a_arvalid_i || b_arvalid_i;
  assign arid_o      = choose_a ? 6'd32 : b_arid_i;
  assign araddr_o    = choose_a ? a_araddr_i : b_araddr_i;
  assign arlen_o     = choose_a ? a_arlen_i : b_arlen_i;
  assign a_arready_o = choose_a && arready_i;
  assign b_arready_o = !choose_a && arready_i;

  assign a_rvalid_o = rvalid_i && rid_top_i;
  assign b_rvalid_o = rvalid_i && !rid_top_i;
  assign rready_o   = rid_top_i ? a_rready_i : b_rready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) held_b_q <= 1'b0;
    else held_b_q <= b_arvalid_i && !choose_a && !arready_i;
  end

`ifndef SYNTHESIS
  IdOfBA : assert property (@(posedge clk_i) disable iff (!rst_ni) b_arvalid_i |-> !b_arid_i[5]);
  AddressHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    arvalid_o && !arready_i |=> arvalid_o && $stable({arid_o, araddr_o, arlen_o}));
`endif

endmodule
