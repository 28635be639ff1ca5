// openxc7_top with the ports of its processing system under the names of cocotbext-axi; AXI4 models have 8 bits of length.

module openxc7_bench #(
  parameter int unsigned G            = 8,
  parameter int unsigned AWords       = 1024,
  parameter int unsigned WWords       = 512,
  parameter int unsigned AccRows      = 128,
  parameter int unsigned VectorWords  = 256,
  parameter int unsigned MaskWords    = 64,
  parameter int unsigned TableWords   = 1024,
  parameter int unsigned ProgramWords = 1024,
  parameter int unsigned ListWords    = 512,
  parameter int unsigned BlockWords   = 16,
  parameter int unsigned PassTaps     = 2,
  parameter logic [31:0] ConfigHash   = 32'hC0FFEE42
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  output logic        irq_o,
  input  logic [11:0] gp_axi_arid,
  input  logic [31:0] gp_axi_araddr,
  input  logic [7:0]  gp_axi_arlen,
  input  logic [2:0]  gp_axi_arsize,
  input  logic [1:0]  gp_axi_arburst,
  input  logic        gp_axi_arvalid,
  output logic        gp_axi_arready,
  output logic [11:0] gp_axi_rid,
  output logic [31:0] gp_axi_rdata,
  output logic [1:0]  gp_axi_rresp,
  output logic        gp_axi_rlast,
  output logic        gp_axi_rvalid,
  input  logic        gp_axi_rready,
  input  logic [11:0] gp_axi_awid,
  input  logic [31:0] gp_axi_awaddr,
  input  logic [2:0]  gp_axi_awsize,
  input  logic [1:0]  gp_axi_awburst,
  input  logic        gp_axi_awvalid,
  output logic        gp_axi_awready,
  input  logic [31:0] gp_axi_wdata,
  input  logic [3:0]  gp_axi_wstrb,
  input  logic        gp_axi_wlast,
  input  logic        gp_axi_wvalid,
  output logic        gp_axi_wready,
  output logic [11:0] gp_axi_bid,
  output logic [1:0]  gp_axi_bresp,
  output logic        gp_axi_bvalid,
  input  logic        gp_axi_bready,
  input  logic [7:0]  gp_axi_awlen,
  output logic [5:0]  hp0_axi_arid,
  output logic [31:0] hp0_axi_araddr,
  output logic [7:0]  hp0_axi_arlen,
  output logic [2:0]  hp0_axi_arsize,
  output logic [1:0]  hp0_axi_arburst,
  output logic [3:0]  hp0_axi_arcache,
  output logic [2:0]  hp0_axi_arprot,
  output logic        hp0_axi_arvalid,
  input  logic        hp0_axi_arready,
  input  logic [5:0]  hp0_axi_rid,
  input  logic [63:0] hp0_axi_rdata,
  input  logic [1:0]  hp0_axi_rresp,
  input  logic        hp0_axi_rlast,
  input  logic        hp0_axi_rvalid,
  output logic        hp0_axi_rready,
  output logic [5:0]  hp0_axi_awid,
  output logic [31:0] hp0_axi_awaddr,
  output logic [7:0]  hp0_axi_awlen,
  output logic [2:0]  hp0_axi_awsize,
  output logic [1:0]  hp0_axi_awburst,
  output logic [3:0]  hp0_axi_awcache,
  output logic [2:0]  hp0_axi_awprot,
  output logic        hp0_axi_awvalid,
  input  logic        hp0_axi_awready,
  output logic [5:0]  hp0_axi_wid,
  output logic [63:0] hp0_axi_wdata,
  output logic [7:0]  hp0_axi_wstrb,
  output logic        hp0_axi_wlast,
  output logic        hp0_axi_wvalid,
  input  logic        hp0_axi_wready,
  input  logic [5:0]  hp0_axi_bid,
  input  logic [1:0]  hp0_axi_bresp,
  input  logic        hp0_axi_bvalid,
  output logic        hp0_axi_bready,
  output logic [5:0]  hp2_axi_arid,
  output logic [31:0] hp2_axi_araddr,
  output logic [7:0]  hp2_axi_arlen,
  output logic [2:0]  hp2_axi_arsize,
  output logic [1:0]  hp2_axi_arburst,
  output logic [3:0]  hp2_axi_arcache,
  output logic [2:0]  hp2_axi_arprot,
  output logic        hp2_axi_arvalid,
  input  logic        hp2_axi_arready,
  input  logic [5:0]  hp2_axi_rid,
  input  logic [63:0] hp2_axi_rdata,
  input  logic [1:0]  hp2_axi_rresp,
  input  logic        hp2_axi_rlast,
  input  logic        hp2_axi_rvalid,
  output logic        hp2_axi_rready,
  output logic [5:0]  hp2_axi_awid,
  output logic [31:0] hp2_axi_awaddr,
  output logic [7:0]  hp2_axi_awlen,
  output logic [2:0]  hp2_axi_awsize,
  output logic [1:0]  hp2_axi_awburst,
  output logic [3:0]  hp2_axi_awcache,
  output logic [2:0]  hp2_axi_awprot,
  output logic        hp2_axi_awvalid,
  input  logic        hp2_axi_awready,
  output logic [5:0]  hp2_axi_wid,
  output logic [63:0] hp2_axi_wdata,
  output logic [7:0]  hp2_axi_wstrb,
  output logic        hp2_axi_wlast,
  output logic        hp2_axi_wvalid,
  input  logic        hp2_axi_wready,
  input  logic [5:0]  hp2_axi_bid,
  input  logic [1:0]  hp2_axi_bresp,
  input  logic        hp2_axi_bvalid,
  output logic        hp2_axi_bready
);

  logic unused_bits;

  assign unused_bits = ^{gp_axi_arlen[7:4], gp_axi_awlen, gp_axi_arsize[2], gp_axi_awsize[2]};
  assign irq_o = u_top.u_ps7.IRQF2P[0];
  assign gp_axi_arready = u_top.u_ps7.MAXIGP0ARREADY;
  assign gp_axi_rid = u_top.u_ps7.MAXIGP0RID;
  assign gp_axi_rdata = u_top.u_ps7.MAXIGP0RDATA;
  assign gp_axi_rresp = u_top.u_ps7.MAXIGP0RRESP;
  assign gp_axi_rlast = u_top.u_ps7.MAXIGP0RLAST;
  assign gp_axi_rvalid = u_top.u_ps7.MAXIGP0RVALID;
  assign gp_axi_awready = u_top.u_ps7.MAXIGP0AWREADY;
  assign gp_axi_wready = u_top.u_ps7.MAXIGP0WREADY;
  assign gp_axi_bid = u_top.u_ps7.MAXIGP0BID;
  assign gp_axi_bresp = u_top.u_ps7.MAXIGP0BRESP;
  assign gp_axi_bvalid = u_top.u_ps7.MAXIGP0BVALID;
  assign hp0_axi_arid = u_top.u_ps7.SAXIHP0ARID;
  assign hp0_axi_araddr = u_top.u_ps7.SAXIHP0ARADDR;
  assign hp0_axi_arlen = 8'(u_top.u_ps7.SAXIHP0ARLEN);
  assign hp0_axi_arsize = 3'(u_top.u_ps7.SAXIHP0ARSIZE);
  assign hp0_axi_arburst = u_top.u_ps7.SAXIHP0ARBURST;
  assign hp0_axi_arcache = u_top.u_ps7.SAXIHP0ARCACHE;
  assign hp0_axi_arprot = u_top.u_ps7.SAXIHP0ARPROT;
  assign hp0_axi_arvalid = u_top.u_ps7.SAXIHP0ARVALID;
  assign hp0_axi_rready = u_top.u_ps7.SAXIHP0RREADY;
  assign hp0_axi_awid = u_top.u_ps7.SAXIHP0AWID;
  assign hp0_axi_awaddr = u_top.u_ps7.SAXIHP0AWADDR;
  assign hp0_axi_awlen = 8'(u_top.u_ps7.SAXIHP0AWLEN);
  assign hp0_axi_awsize = 3'(u_top.u_ps7.SAXIHP0AWSIZE);
  assign hp0_axi_awburst = u_top.u_ps7.SAXIHP0AWBURST;
  assign hp0_axi_awcache = u_top.u_ps7.SAXIHP0AWCACHE;
  assign hp0_axi_awprot = u_top.u_ps7.SAXIHP0AWPROT;
  assign hp0_axi_awvalid = u_top.u_ps7.SAXIHP0AWVALID;
  assign hp0_axi_wid = u_top.u_ps7.SAXIHP0WID;
  assign hp0_axi_wdata = u_top.u_ps7.SAXIHP0WDATA;
  assign hp0_axi_wstrb = u_top.u_ps7.SAXIHP0WSTRB;
  assign hp0_axi_wlast = u_top.u_ps7.SAXIHP0WLAST;
  assign hp0_axi_wvalid = u_top.u_ps7.SAXIHP0WVALID;
  assign hp0_axi_bready = u_top.u_ps7.SAXIHP0BREADY;
  assign hp2_axi_arid = u_top.u_ps7.SAXIHP2ARID;
  assign hp2_axi_araddr = u_top.u_ps7.SAXIHP2ARADDR;
  assign hp2_axi_arlen = 8'(u_top.u_ps7.SAXIHP2ARLEN);
  assign hp2_axi_arsize = 3'(u_top.u_ps7.SAXIHP2ARSIZE);
  assign hp2_axi_arburst = u_top.u_ps7.SAXIHP2ARBURST;
  assign hp2_axi_arcache = u_top.u_ps7.SAXIHP2ARCACHE;
  assign hp2_axi_arprot = u_top.u_ps7.SAXIHP2ARPROT;
  assign hp2_axi_arvalid = u_top.u_ps7.SAXIHP2ARVALID;
  assign hp2_axi_rready = u_top.u_ps7.SAXIHP2RREADY;
  assign hp2_axi_awid = u_top.u_ps7.SAXIHP2AWID;
  assign hp2_axi_awaddr = u_top.u_ps7.SAXIHP2AWADDR;
  assign hp2_axi_awlen = 8'(u_top.u_ps7.SAXIHP2AWLEN);
  assign hp2_axi_awsize = 3'(u_top.u_ps7.SAXIHP2AWSIZE);
  assign hp2_axi_awburst = u_top.u_ps7.SAXIHP2AWBURST;
  assign hp2_axi_awcache = u_top.u_ps7.SAXIHP2AWCACHE;
  assign hp2_axi_awprot = u_top.u_ps7.SAXIHP2AWPROT;
  assign hp2_axi_awvalid = u_top.u_ps7.SAXIHP2AWVALID;
  assign hp2_axi_wid = u_top.u_ps7.SAXIHP2WID;
  assign hp2_axi_wdata = u_top.u_ps7.SAXIHP2WDATA;
  assign hp2_axi_wstrb = u_top.u_ps7.SAXIHP2WSTRB;
  assign hp2_axi_wlast = u_top.u_ps7.SAXIHP2WLAST;
  assign hp2_axi_wvalid = u_top.u_ps7.SAXIHP2WVALID;
  assign hp2_axi_bready = u_top.u_ps7.SAXIHP2BREADY;

  openxc7_top #(
    .G(G), .AWords(AWords), .WWords(WWords), .AccRows(AccRows), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords), .BlockWords(BlockWords),
    .PassTaps(PassTaps), .ConfigHash(ConfigHash)
  ) u_top ();

endmodule
