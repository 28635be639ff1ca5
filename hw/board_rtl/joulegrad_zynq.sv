// The core as a block beside a Zynq processing system: control, interrupt, and two AXI3 masters for HP ports.
//
// Adds a register slice before each HP port (hp_port); memories, arithmetic and counters are the core's. Signals hp_* have
// one element for each master: [0] reads instructions, too. The ports are written into Verilog for a block design by
// hw/vivado_wrapper.py, and instantiated by openxc7_top.
// Golden function: hw/golden.py run_segment().

module joulegrad_zynq #(
  parameter  int unsigned G            = 16,
  parameter  int unsigned AWords       = 8192,
  parameter  int unsigned WWords       = 4096,
  parameter  int unsigned AccRows      = 1024,
  parameter  int unsigned VectorWords  = 2048,
  parameter  int unsigned MaskWords    = 512,
  parameter  int unsigned TableWords   = 4096,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  int unsigned PassTaps     = 2,
  parameter  int unsigned AxiBits      = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  localparam int unsigned StrbBits     = AxiBits / 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  output logic                 irq_o,

  input  logic [9:0]           s_axi_awaddr_i,
  input  logic                 s_axi_awvalid_i,
  output logic                 s_axi_awready_o,
  input  logic [31:0]          s_axi_wdata_i,
  input  logic [3:0]           s_axi_wstrb_i,
  input  logic                 s_axi_wvalid_i,
  output logic                 s_axi_wready_o,
  output logic [1:0]           s_axi_bresp_o,
  output logic                 s_axi_bvalid_o,
  input  logic                 s_axi_bready_i,
  input  logic [9:0]           s_axi_araddr_i,
  input  logic                 s_axi_arvalid_i,
  output logic                 s_axi_arready_o,
  output logic [31:0]          s_axi_rdata_o,
  output logic [1:0]           s_axi_rresp_o,
  output logic                 s_axi_rvalid_o,
  input  logic                 s_axi_rready_i,

  output logic [1:0][5:0]             hp_arid_o,
  output logic [1:0][31:0]            hp_araddr_o,
  output logic [1:0][3:0]             hp_arlen_o,
  output logic [1:0][2:0]             hp_arsize_o,
  output logic [1:0][1:0]             hp_arburst_o,
  output logic [1:0][3:0]             hp_arcache_o,
  output logic [1:0][2:0]             hp_arprot_o,
  output logic [1:0][1:0]             hp_arlock_o,
  output logic [1:0][3:0]             hp_arqos_o,
  output logic [1:0]                  hp_arvalid_o,
  input  logic [1:0]                  hp_arready_i,
  input  logic [1:0][5:0]             hp_rid_i,
  input  logic [1:0][AxiBits-1:0]     hp_rdata_i,
  input  logic [1:0][1:0]             hp_rresp_i,
  input  logic [1:0]                  hp_rlast_i,
  input  logic [1:0]                  hp_rvalid_i,
  output logic [1:0]                  hp_rready_o,
  output logic [1:0][5:0]             hp_awid_o,
  output logic [1:0][31:0]            hp_awaddr_o,
  output logic [1:0][3:0]             hp_awlen_o,
  output logic [1:0][2:0]             hp_awsize_o,
  output logic [1:0][1:0]             hp_awburst_o,
  output logic [1:0][3:0]             hp_awcache_o,
  output logic [1:0][2:0]             hp_awprot_o,
  output logic [1:0][1:0]             hp_awlock_o,
  output logic [1:0][3:0]             hp_awqos_o,
  output logic [1:0]                  hp_awvalid_o,
  input  logic [1:0]                  hp_awready_i,
  output logic [1:0][5:0]             hp_wid_o,
  output logic [1:0][AxiBits-1:0]     hp_wdata_o,
  output logic [1:0][StrbBits-1:0]    hp_wstrb_o,
  output logic [1:0]                  hp_wlast_o,
  output logic [1:0]                  hp_wvalid_o,
  input  logic [1:0]                  hp_wready_i,
  input  logic [1:0][5:0]             hp_bid_i,
  input  logic [1:0][1:0]             hp_bresp_i,
  input  logic [1:0]                  hp_bvalid_i,
  output logic [1:0]                  hp_bready_o
);

  logic [1:0][5:0]             core_arid;
  logic [1:0][31:0]            core_araddr;
  logic [1:0][3:0]             core_arlen;
  logic [1:0][2:0]             core_arsize;
  logic [1:0][1:0]             core_arburst;
  logic [1:0][3:0]             core_arcache;
  logic [1:0][2:0]             core_arprot;
  logic [1:0]                  core_arvalid, core_arready;
  logic [1:0][5:0]             core_rid;
  logic [1:0][AxiBits-1:0]     core_rdata;
  logic [1:0][1:0]             core_rresp;
  logic [1:0]                  core_rlast;
  logic [1:0]                  core_rvalid, core_rready;
  logic [1:0][5:0]             core_awid;
  logic [1:0][31:0]            core_awaddr;
  logic [1:0][3:0]             core_awlen;
  logic [1:0][2:0]             core_awsize;
  logic [1:0][1:0]             core_awburst;
  logic [1:0][3:0]             core_awcache;
  logic [1:0][2:0]             core_awprot;
  logic [1:0]                  core_awvalid, core_awready;
  logic [1:0][5:0]             core_wid;
  logic [1:0][AxiBits-1:0]     core_wdata;
  logic [1:0][StrbBits-1:0]    core_wstrb;
  logic [1:0]                  core_wlast;
  logic [1:0]                  core_wvalid, core_wready;
  logic [1:0][5:0]             core_bid;
  logic [1:0][1:0]             core_bresp;
  logic [1:0]                  core_bvalid, core_bready;

  joulegrad_core #(
    .G(G), .AWords(AWords), .WWords(WWords), .AccRows(AccRows), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords), .BlockWords(BlockWords),
    .PassTaps(PassTaps), .AxiBits(AxiBits), .ConfigHash(ConfigHash)
  ) u_core (
    .clk_i,
    .rst_ni,
    .irq_o,
    .s_axi_awaddr_i,
    .s_axi_awvalid_i,
    .s_axi_awready_o,
    .s_axi_wdata_i,
    .s_axi_wstrb_i,
    .s_axi_wvalid_i,
    .s_axi_wready_o,
    .s_axi_bresp_o,
    .s_axi_bvalid_o,
    .s_axi_bready_i,
    .s_axi_araddr_i,
    .s_axi_arvalid_i,
    .s_axi_arready_o,
    .s_axi_rdata_o,
    .s_axi_rresp_o,
    .s_axi_rvalid_o,
    .s_axi_rready_i,
    .m0_axi_arid_o   (core_arid[0]),
    .m0_axi_araddr_o (core_araddr[0]),
    .m0_axi_arlen_o  (core_arlen[0]),
    .m0_axi_arsize_o (core_arsize[0]),
    .m0_axi_arburst_o(core_arburst[0]),
    .m0_axi_arcache_o(core_arcache[0]),
    .m0_axi_arprot_o (core_arprot[0]),
    .m0_axi_arvalid_o(core_arvalid[0]),
    .m0_axi_arready_i(core_arready[0]),
    .m0_axi_rid_i    (core_rid[0]),
    .m0_axi_rdata_i  (core_rdata[0]),
    .m0_axi_rresp_i  (core_rresp[0]),
    .m0_axi_rlast_i  (core_rlast[0]),
    .m0_axi_rvalid_i (core_rvalid[0]),
    .m0_axi_rready_o (core_rready[0]),
    .m0_axi_awid_o   (core_awid[0]),
    .m0_axi_awaddr_o (core_awaddr[0]),
    .m0_axi_awlen_o  (core_awlen[0]),
    .m0_axi_awsize_o (core_awsize[0]),
    .m0_axi_awburst_o(core_awburst[0]),
    .m0_axi_awcache_o(core_awcache[0]),
    .m0_axi_awprot_o (core_awprot[0]),
    .m0_axi_awvalid_o(core_awvalid[0]),
    .m0_axi_awready_i(core_awready[0]),
    .m0_axi_wid_o    (core_wid[0]),
    .m0_axi_wdata_o  (core_wdata[0]),
    .m0_axi_wstrb_o  (core_wstrb[0]),
    .m0_axi_wlast_o  (core_wlast[0]),
    .m0_axi_wvalid_o (core_wvalid[0]),
    .m0_axi_wready_i (core_wready[0]),
    .m0_axi_bid_i    (core_bid[0]),
    .m0_axi_bresp_i  (core_bresp[0]),
    .m0_axi_bvalid_i (core_bvalid[0]),
    .m0_axi_bready_o (core_bready[0]),
    .m1_axi_arid_o   (core_arid[1]),
    .m1_axi_araddr_o (core_araddr[1]),
    .m1_axi_arlen_o  (core_arlen[1]),
    .m1_axi_arsize_o (core_arsize[1]),
    .m1_axi_arburst_o(core_arburst[1]),
    .m1_axi_arcache_o(core_arcache[1]),
    .m1_axi_arprot_o (core_arprot[1]),
    .m1_axi_arvalid_o(core_arvalid[1]),
    .m1_axi_arready_i(core_arready[1]),
    .m1_axi_rid_i    (core_rid[1]),
    .m1_axi_rdata_i  (core_rdata[1]),
    .m1_axi_rresp_i  (core_rresp[1]),
    .m1_axi_rlast_i  (core_rlast[1]),
    .m1_axi_rvalid_i (core_rvalid[1]),
    .m1_axi_rready_o (core_rready[1]),
    .m1_axi_awid_o   (core_awid[1]),
    .m1_axi_awaddr_o (core_awaddr[1]),
    .m1_axi_awlen_o  (core_awlen[1]),
    .m1_axi_awsize_o (core_awsize[1]),
    .m1_axi_awburst_o(core_awburst[1]),
    .m1_axi_awcache_o(core_awcache[1]),
    .m1_axi_awprot_o (core_awprot[1]),
    .m1_axi_awvalid_o(core_awvalid[1]),
    .m1_axi_awready_i(core_awready[1]),
    .m1_axi_wid_o    (core_wid[1]),
    .m1_axi_wdata_o  (core_wdata[1]),
    .m1_axi_wstrb_o  (core_wstrb[1]),
    .m1_axi_wlast_o  (core_wlast[1]),
    .m1_axi_wvalid_o (core_wvalid[1]),
    .m1_axi_wready_i (core_wready[1]),
    .m1_axi_bid_i    (core_bid[1]),
    .m1_axi_bresp_i  (core_bresp[1]),
    .m1_axi_bvalid_i (core_bvalid[1]),
    .m1_axi_bready_o (core_bready[1])
  );

  for (genvar p = 0; p < 2; p++) begin : gen_port
    hp_port #(.AxiBits(AxiBits)) u_hp (
      .clk_i,
      .rst_ni,
      .core_arid_i   (core_arid[p]),
      .core_araddr_i (core_araddr[p]),
      .core_arlen_i  (core_arlen[p]),
      .core_arsize_i (core_arsize[p]),
      .core_arburst_i(core_arburst[p]),
      .core_arcache_i(core_arcache[p]),
      .core_arprot_i (core_arprot[p]),
      .core_arvalid_i(core_arvalid[p]),
      .core_arready_o(core_arready[p]),
      .core_rid_o    (core_rid[p]),
      .core_rdata_o  (core_rdata[p]),
      .core_rresp_o  (core_rresp[p]),
      .core_rlast_o  (core_rlast[p]),
      .core_rvalid_o (core_rvalid[p]),
      .core_rready_i (core_rready[p]),
      .core_awid_i   (core_awid[p]),
      .core_awaddr_i (core_awaddr[p]),
      .core_awlen_i  (core_awlen[p]),
      .core_awsize_i (core_awsize[p]),
      .core_awburst_i(core_awburst[p]),
      .core_awcache_i(core_awcache[p]),
      .core_awprot_i (core_awprot[p]),
      .core_awvalid_i(core_awvalid[p]),
      .core_awready_o(core_awready[p]),
      .core_wid_i    (core_wid[p]),
      .core_wdata_i  (core_wdata[p]),
      .core_wstrb_i  (core_wstrb[p]),
      .core_wlast_i  (core_wlast[p]),
      .core_wvalid_i (core_wvalid[p]),
      .core_wready_o (core_wready[p]),
      .core_bid_o    (core_bid[p]),
      .core_bresp_o  (core_bresp[p]),
      .core_bvalid_o (core_bvalid[p]),
      .core_bready_i (core_bready[p]),
      .hp_arid_o     (hp_arid_o[p]),
      .hp_araddr_o   (hp_araddr_o[p]),
      .hp_arlen_o    (hp_arlen_o[p]),
      .hp_arsize_o   (hp_arsize_o[p]),
      .hp_arburst_o  (hp_arburst_o[p]),
      .hp_arcache_o  (hp_arcache_o[p]),
      .hp_arprot_o   (hp_arprot_o[p]),
      .hp_arlock_o   (hp_arlock_o[p]),
      .hp_arqos_o    (hp_arqos_o[p]),
      .hp_arvalid_o  (hp_arvalid_o[p]),
      .hp_arready_i  (hp_arready_i[p]),
      .hp_rid_i      (hp_rid_i[p]),
      .hp_rdata_i    (hp_rdata_i[p]),
      .hp_rresp_i    (hp_rresp_i[p]),
      .hp_rlast_i    (hp_rlast_i[p]),
      .hp_rvalid_i   (hp_rvalid_i[p]),
      .hp_rready_o   (hp_rready_o[p]),
      .hp_awid_o     (hp_awid_o[p]),
      .hp_awaddr_o   (hp_awaddr_o[p]),
      .hp_awlen_o    (hp_awlen_o[p]),
      .hp_awsize_o   (hp_awsize_o[p]),
      .hp_awburst_o  (hp_awburst_o[p]),
      .hp_awcache_o  (hp_awcache_o[p]),
      .hp_awprot_o   (hp_awprot_o[p]),
      .hp_awlock_o   (hp_awlock_o[p]),
      .hp_awqos_o    (hp_awqos_o[p]),
      .hp_awvalid_o  (hp_awvalid_o[p]),
      .hp_awready_i  (hp_awready_i[p]),
      .hp_wid_o      (hp_wid_o[p]),
      .hp_wdata_o    (hp_wdata_o[p]),
      .hp_wstrb_o    (hp_wstrb_o[p]),
      .hp_wlast_o    (hp_wlast_o[p]),
      .hp_wvalid_o   (hp_wvalid_o[p]),
      .hp_wready_i   (hp_wready_i[p]),
      .hp_bid_i      (hp_bid_i[p]),
      .hp_bresp_i    (hp_bresp_i[p]),
      .hp_bvalid_i   (hp_bvalid_i[p]),
      .hp_bready_o   (hp_bready_o[p])
    );
  end

endmodule
