// The pins of the Zynq-7000 processing system that openxc7_top uses; what drives them is in openxc7_bench.

module PS7 (
  output logic [3:0]  FCLKCLK,
  output logic [3:0]  FCLKRESETN,
  input  logic [19:0] IRQF2P,
  input  logic        MAXIGP0ACLK,
  output logic [11:0] MAXIGP0ARID,
  output logic [31:0] MAXIGP0ARADDR,
  output logic [3:0]  MAXIGP0ARLEN,
  output logic [1:0]  MAXIGP0ARSIZE,
  output logic [1:0]  MAXIGP0ARBURST,
  output logic        MAXIGP0ARVALID,
  input  logic        MAXIGP0ARREADY,
  input  logic [11:0] MAXIGP0RID,
  input  logic [31:0] MAXIGP0RDATA,
  input  logic [1:0]  MAXIGP0RRESP,
  input  logic        MAXIGP0RLAST,
  input  logic        MAXIGP0RVALID,
  output logic        MAXIGP0RREADY,
  output logic [11:0] MAXIGP0AWID,
  output logic [31:0] MAXIGP0AWADDR,
  output logic [1:0]  MAXIGP0AWSIZE,
  output logic [1:0]  MAXIGP0AWBURST,
  output logic        MAXIGP0AWVALID,
  input  logic        MAXIGP0AWREADY,
  output logic [31:0] MAXIGP0WDATA,
  output logic [3:0]  MAXIGP0WSTRB,
  output logic        MAXIGP0WLAST,
  output logic        MAXIGP0WVALID,
  input  logic        MAXIGP0WREADY,
  input  logic [11:0] MAXIGP0BID,
  input  logic [1:0]  MAXIGP0BRESP,
  input  logic        MAXIGP0BVALID,
  output logic        MAXIGP0BREADY,
  input  logic        SAXIHP0ACLK,
  input  logic        SAXIHP0RDISSUECAP1EN,
  input  logic        SAXIHP0WRISSUECAP1EN,
  input  logic [5:0]  SAXIHP0ARID,
  input  logic [31:0] SAXIHP0ARADDR,
  input  logic [3:0]  SAXIHP0ARLEN,
  input  logic [1:0]  SAXIHP0ARSIZE,
  input  logic [1:0]  SAXIHP0ARBURST,
  input  logic [3:0]  SAXIHP0ARCACHE,
  input  logic [2:0]  SAXIHP0ARPROT,
  input  logic [1:0]  SAXIHP0ARLOCK,
  input  logic [3:0]  SAXIHP0ARQOS,
  input  logic        SAXIHP0ARVALID,
  output logic        SAXIHP0ARREADY,
  output logic [5:0]  SAXIHP0RID,
  output logic [63:0] SAXIHP0RDATA,
  output logic [1:0]  SAXIHP0RRESP,
  output logic        SAXIHP0RLAST,
  output logic        SAXIHP0RVALID,
  input  logic        SAXIHP0RREADY,
  input  logic [5:0]  SAXIHP0AWID,
  input  logic [31:0] SAXIHP0AWADDR,
  input  logic [3:0]  SAXIHP0AWLEN,
  input  logic [1:0]  SAXIHP0AWSIZE,
  input  logic [1:0]  SAXIHP0AWBURST,
  input  logic [3:0]  SAXIHP0AWCACHE,
  input  logic [2:0]  SAXIHP0AWPROT,
  input  logic [1:0]  SAXIHP0AWLOCK,
  input  logic [3:0]  SAXIHP0AWQOS,
  input  logic        SAXIHP0AWVALID,
  output logic        SAXIHP0AWREADY,
  input  logic [5:0]  SAXIHP0WID,
  input  logic [63:0] SAXIHP0WDATA,
  input  logic [7:0]  SAXIHP0WSTRB,
  input  logic        SAXIHP0WLAST,
  input  logic        SAXIHP0WVALID,
  output logic        SAXIHP0WREADY,
  output logic [5:0]  SAXIHP0BID,
  output logic [1:0]  SAXIHP0BRESP,
  output logic        SAXIHP0BVALID,
  input  logic        SAXIHP0BREADY,
  input  logic        SAXIHP2ACLK,
  input  logic        SAXIHP2RDISSUECAP1EN,
  input  logic        SAXIHP2WRISSUECAP1EN,
  input  logic [5:0]  SAXIHP2ARID,
  input  logic [31:0] SAXIHP2ARADDR,
  input  logic [3:0]  SAXIHP2ARLEN,
  input  logic [1:0]  SAXIHP2ARSIZE,
  input  logic [1:0]  SAXIHP2ARBURST,
  input  logic [3:0]  SAXIHP2ARCACHE,
  input  logic [2:0]  SAXIHP2ARPROT,
  input  logic [1:0]  SAXIHP2ARLOCK,
  input  logic [3:0]  SAXIHP2ARQOS,
  input  logic        SAXIHP2ARVALID,
  output logic        SAXIHP2ARREADY,
  output logic [5:0]  SAXIHP2RID,
  output logic [63:0] SAXIHP2RDATA,
  output logic [1:0]  SAXIHP2RRESP,
  output logic        SAXIHP2RLAST,
  output logic        SAXIHP2RVALID,
  input  logic        SAXIHP2RREADY,
  input  logic [5:0]  SAXIHP2AWID,
  input  logic [31:0] SAXIHP2AWADDR,
  input  logic [3:0]  SAXIHP2AWLEN,
  input  logic [1:0]  SAXIHP2AWSIZE,
  input  logic [1:0]  SAXIHP2AWBURST,
  input  logic [3:0]  SAXIHP2AWCACHE,
  input  logic [2:0]  SAXIHP2AWPROT,
  input  logic [1:0]  SAXIHP2AWLOCK,
  input  logic [3:0]  SAXIHP2AWQOS,
  input  logic        SAXIHP2AWVALID,
  output logic        SAXIHP2AWREADY,
  input  logic [5:0]  SAXIHP2WID,
  input  logic [63:0] SAXIHP2WDATA,
  input  logic [7:0]  SAXIHP2WSTRB,
  input  logic        SAXIHP2WLAST,
  input  logic        SAXIHP2WVALID,
  output logic        SAXIHP2WREADY,
  output logic [5:0]  SAXIHP2BID,
  output logic [1:0]  SAXIHP2BRESP,
  output logic        SAXIHP2BVALID,
  input  logic        SAXIHP2BREADY
);

  logic unused_pins;

  assign unused_pins = ^{
    IRQF2P[19:1], MAXIGP0ACLK, SAXIHP0ACLK, SAXIHP0RDISSUECAP1EN,
    SAXIHP0WRISSUECAP1EN, SAXIHP0ARLOCK, SAXIHP0ARQOS, SAXIHP0AWLOCK,
    SAXIHP0AWQOS, SAXIHP2ACLK, SAXIHP2RDISSUECAP1EN, SAXIHP2WRISSUECAP1EN,
    SAXIHP2ARLOCK, SAXIHP2ARQOS, SAXIHP2AWLOCK, SAXIHP2AWQOS
  };
  assign FCLKCLK    = {3'd0, openxc7_bench.clk_i};
  assign FCLKRESETN = {3'd0, openxc7_bench.rst_ni};
  assign MAXIGP0ARID      = openxc7_bench.gp_axi_arid;
  assign MAXIGP0ARADDR    = openxc7_bench.gp_axi_araddr;
  assign MAXIGP0ARLEN     = openxc7_bench.gp_axi_arlen[3:0];
  assign MAXIGP0ARSIZE    = openxc7_bench.gp_axi_arsize[1:0];
  assign MAXIGP0ARBURST   = openxc7_bench.gp_axi_arburst;
  assign MAXIGP0ARVALID   = openxc7_bench.gp_axi_arvalid;
  assign MAXIGP0RREADY    = openxc7_bench.gp_axi_rready;
  assign MAXIGP0AWID      = openxc7_bench.gp_axi_awid;
  assign MAXIGP0AWADDR    = openxc7_bench.gp_axi_awaddr;
  assign MAXIGP0AWSIZE    = openxc7_bench.gp_axi_awsize[1:0];
  assign MAXIGP0AWBURST   = openxc7_bench.gp_axi_awburst;
  assign MAXIGP0AWVALID   = openxc7_bench.gp_axi_awvalid;
  assign MAXIGP0WDATA     = openxc7_bench.gp_axi_wdata;
  assign MAXIGP0WSTRB     = openxc7_bench.gp_axi_wstrb;
  assign MAXIGP0WLAST     = openxc7_bench.gp_axi_wlast;
  assign MAXIGP0WVALID    = openxc7_bench.gp_axi_wvalid;
  assign MAXIGP0BREADY    = openxc7_bench.gp_axi_bready;
  assign SAXIHP0ARREADY   = openxc7_bench.hp0_axi_arready;
  assign SAXIHP0RID       = openxc7_bench.hp0_axi_rid;
  assign SAXIHP0RDATA     = openxc7_bench.hp0_axi_rdata;
  assign SAXIHP0RRESP     = openxc7_bench.hp0_axi_rresp;
  assign SAXIHP0RLAST     = openxc7_bench.hp0_axi_rlast;
  assign SAXIHP0RVALID    = openxc7_bench.hp0_axi_rvalid;
  assign SAXIHP0AWREADY   = openxc7_bench.hp0_axi_awready;
  assign SAXIHP0WREADY    = openxc7_bench.hp0_axi_wready;
  assign SAXIHP0BID       = openxc7_bench.hp0_axi_bid;
  assign SAXIHP0BRESP     = openxc7_bench.hp0_axi_bresp;
  assign SAXIHP0BVALID    = openxc7_bench.hp0_axi_bvalid;
  assign SAXIHP2ARREADY   = openxc7_bench.hp2_axi_arready;
  assign SAXIHP2RID       = openxc7_bench.hp2_axi_rid;
  assign SAXIHP2RDATA     = openxc7_bench.hp2_axi_rdata;
  assign SAXIHP2RRESP     = openxc7_bench.hp2_axi_rresp;
  assign SAXIHP2RLAST     = openxc7_bench.hp2_axi_rlast;
  assign SAXIHP2RVALID    = openxc7_bench.hp2_axi_rvalid;
  assign SAXIHP2AWREADY   = openxc7_bench.hp2_axi_awready;
  assign SAXIHP2WREADY    = openxc7_bench.hp2_axi_wready;
  assign SAXIHP2BID       = openxc7_bench.hp2_axi_bid;
  assign SAXIHP2BRESP     = openxc7_bench.hp2_axi_bresp;
  assign SAXIHP2BVALID    = openxc7_bench.hp2_axi_bvalid;

endmodule
