// The core's AXI3 master behind a register slice on every channel, as a Zynq-7000 HP port takes it.
//
//   core (AXI3, at most 16 beats, one stripe of 128 bytes per burst) -> flip-flops -> HP port, with lock and qos added
//
// Both sides are AXI3: the core cuts its bursts itself and sends the id with write data. An HP port's pins are slow
// (1 to 2 ns each way), so nothing but a flip-flop stands before them.
// Latency 1 cycle each way on each channel, one beat per cycle. Golden function: none, the words pass unchanged.

module hp_port #(
  parameter  int unsigned AxiBits  = 64,
  localparam int unsigned StrbBits = AxiBits / 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,

  // The core's side.
  input  logic [5:0]           core_arid_i,
  input  logic [31:0]          core_araddr_i,
  input  logic [3:0]           core_arlen_i,
  input  logic [2:0]           core_arsize_i,
  input  logic [1:0]           core_arburst_i,
  input  logic [3:0]           core_arcache_i,
  input  logic [2:0]           core_arprot_i,
  input  logic                 core_arvalid_i,
  output logic                 core_arready_o,
  output logic [5:0]           core_rid_o,
  output logic [AxiBits-1:0]   core_rdata_o,
  output logic [1:0]           core_rresp_o,
  output logic                 core_rlast_o,
  output logic                 core_rvalid_o,
  input  logic                 core_rready_i,
  input  logic [5:0]           core_awid_i,
  input  logic [31:0]          core_awaddr_i,
  input  logic [3:0]           core_awlen_i,
  input  logic [2:0]           core_awsize_i,
  input  logic [1:0]           core_awburst_i,
  input  logic [3:0]           core_awcache_i,
  input  logic [2:0]           core_awprot_i,
  input  logic                 core_awvalid_i,
  output logic                 core_awready_o,
  input  logic [5:0]           core_wid_i,
  input  logic [AxiBits-1:0]   core_wdata_i,
  input  logic [StrbBits-1:0]  core_wstrb_i,
  input  logic                 core_wlast_i,
  input  logic                 core_wvalid_i,
  output logic                 core_wready_o,
  output logic [5:0]           core_bid_o,
  output logic [1:0]           core_bresp_o,
  output logic                 core_bvalid_o,
  input  logic                 core_bready_i,

  // The processing system's side.
  output logic [5:0]           hp_arid_o,
  output logic [31:0]          hp_araddr_o,
  output logic [3:0]           hp_arlen_o,
  output logic [2:0]           hp_arsize_o,
  output logic [1:0]           hp_arburst_o,
  output logic [3:0]           hp_arcache_o,
  output logic [2:0]           hp_arprot_o,
  output logic [1:0]           hp_arlock_o,
  output logic [3:0]           hp_arqos_o,
  output logic                 hp_arvalid_o,
  input  logic                 hp_arready_i,
  input  logic [5:0]           hp_rid_i,
  input  logic [AxiBits-1:0]   hp_rdata_i,
  input  logic [1:0]           hp_rresp_i,
  input  logic                 hp_rlast_i,
  input  logic                 hp_rvalid_i,
  output logic                 hp_rready_o,
  output logic [5:0]           hp_awid_o,
  output logic [31:0]          hp_awaddr_o,
  output logic [3:0]           hp_awlen_o,
  output logic [2:0]           hp_awsize_o,
  output logic [1:0]           hp_awburst_o,
  output logic [3:0]           hp_awcache_o,
  output logic [2:0]           hp_awprot_o,
  output logic [1:0]           hp_awlock_o,
  output logic [3:0]           hp_awqos_o,
  output logic                 hp_awvalid_o,
  input  logic                 hp_awready_i,
  output logic [5:0]           hp_wid_o,
  output logic [AxiBits-1:0]   hp_wdata_o,
  output logic [StrbBits-1:0]  hp_wstrb_o,
  output logic                 hp_wlast_o,
  output logic                 hp_wvalid_o,
  input  logic                 hp_wready_i,
  input  logic [5:0]           hp_bid_i,
  input  logic [1:0]           hp_bresp_i,
  input  logic                 hp_bvalid_i,
  output logic                 hp_bready_o
);

  // Normal access of no special quality.
  assign hp_arlock_o = '0;
  assign hp_arqos_o  = '0;
  assign hp_awlock_o = '0;
  assign hp_awqos_o  = '0;

  axi_register #(.Width(54)) u_ar (
    .clk_i,
    .rst_ni,
    .in_valid_i (core_arvalid_i),
    .in_ready_o (core_arready_o),
    .in_data_i  ({core_arid_i, core_araddr_i, core_arlen_i, core_arsize_i, core_arburst_i, core_arcache_i, core_arprot_i}),
    .out_valid_o(hp_arvalid_o),
    .out_ready_i(hp_arready_i),
    .out_data_o ({hp_arid_o, hp_araddr_o, hp_arlen_o, hp_arsize_o, hp_arburst_o, hp_arcache_o, hp_arprot_o})
  );

  axi_register #(.Width(AxiBits + 9)) u_r (
    .clk_i,
    .rst_ni,
    .in_valid_i (hp_rvalid_i),
    .in_ready_o (hp_rready_o),
    .in_data_i  ({hp_rid_i, hp_rdata_i, hp_rresp_i, hp_rlast_i}),
    .out_valid_o(core_rvalid_o),
    .out_ready_i(core_rready_i),
    .out_data_o ({core_rid_o, core_rdata_o, core_rresp_o, core_rlast_o})
  );

  axi_register #(.Width(54)) u_aw (
    .clk_i,
    .rst_ni,
    .in_valid_i (core_awvalid_i),
    .in_ready_o (core_awready_o),
    .in_data_i  ({core_awid_i, core_awaddr_i, core_awlen_i, core_awsize_i, core_awburst_i, core_awcache_i, core_awprot_i}),
    .out_valid_o(hp_awvalid_o),
    .out_ready_i(hp_awready_i),
    .out_data_o ({hp_awid_o, hp_awaddr_o, hp_awlen_o, hp_awsize_o, hp_awburst_o, hp_awcache_o, hp_awprot_o})
  );

  axi_register #(.Width(AxiBits + StrbBits + 7)) u_w (
    .clk_i,
    .rst_ni,
    .in_valid_i (core_wvalid_i),
    .in_ready_o (core_wready_o),
    .in_data_i  ({core_wid_i, core_wdata_i, core_wstrb_i, core_wlast_i}),
    .out_valid_o(hp_wvalid_o),
    .out_ready_i(hp_wready_i),
    .out_data_o ({hp_wid_o, hp_wdata_o, hp_wstrb_o, hp_wlast_o})
  );

  axi_register #(.Width(8)) u_b (
    .clk_i,
    .rst_ni,
    .in_valid_i (hp_bvalid_i),
    .in_ready_o (hp_bready_o),
    .in_data_i  ({hp_bid_i, hp_bresp_i}),
    .out_valid_o(core_bvalid_o),
    .out_ready_i(core_bready_i),
    .out_data_o ({core_bid_o, core_bresp_o})
  );

`ifndef SYNTHESIS
  InOneStripeOfReadsA : assert property (@(posedge clk_i) disable iff (!rst_ni) core_arvalid_i |->
    32'(core_araddr_i[6:0]) + (32'(core_arlen_i) + 1) * StrbBits <= 128);
  InOneStripeOfWritesA : assert property (@(posedge clk_i) disable iff (!rst_ni) core_awvalid_i |->
    32'(core_awaddr_i[6:0]) + (32'(core_awlen_i) + 1) * StrbBits <= 128);
`endif

endmodule
