// Zynq-7000 without a block design: the processing system instantiated directly, for flows that have no vendor IP.
//
// Clock 0 of the processing system clocks everything; the board's own boot loader has set it and the DDR. Control is
// at the start of general-purpose port 0 (0x4000_0000), memory behind HP ports 0 and 2, the interrupt is F2P 0
// (61 of the interrupt controller). No pin of the programmable logic is used.
// Golden function: hw/golden.py run_segment().

module openxc7_top #(
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
  parameter  logic [31:0] ConfigHash   = 32'd0,
  localparam int unsigned AxiBits      = 64,
  localparam int unsigned StrbBits     = AxiBits / 8
);

  logic        clk, rst_n, irq;
  logic [3:0]  fclk, fclk_rst_n;

  BUFG u_clock (
    .I(fclk[0]),
    .O(clk)
  );

  reset_synchroniser u_reset (
    .clk_i (clk),
    .rst_ni(fclk_rst_n[0]),
    .rst_no(rst_n)
  );

  logic [11:0]          gp_arid;
  logic [31:0]          gp_araddr;
  logic [3:0]           gp_arlen;
  logic [1:0]           gp_arsize;
  logic [1:0]           gp_arburst;
  logic                 gp_arvalid;
  logic                 gp_arready;
  logic [11:0]          gp_rid;
  logic [31:0]          gp_rdata;
  logic [1:0]           gp_rresp;
  logic                 gp_rlast;
  logic                 gp_rvalid;
  logic                 gp_rready;
  logic [11:0]          gp_awid;
  logic [31:0]          gp_awaddr;
  logic [1:0]           gp_awsize;
  logic [1:0]           gp_awburst;
  logic                 gp_awvalid;
  logic                 gp_awready;
  logic [31:0]          gp_wdata;
  logic [3:0]           gp_wstrb;
  logic                 gp_wlast;
  logic                 gp_wvalid;
  logic                 gp_wready;
  logic [11:0]          gp_bid;
  logic [1:0]           gp_bresp;
  logic                 gp_bvalid;
  logic                 gp_bready;
  logic [9:0]           lite_awaddr;
  logic                 lite_awvalid;
  logic                 lite_awready;
  logic [31:0]          lite_wdata;
  logic [3:0]           lite_wstrb;
  logic                 lite_wvalid;
  logic                 lite_wready;
  logic [1:0]           lite_bresp;
  logic                 lite_bvalid;
  logic                 lite_bready;
  logic [9:0]           lite_araddr;
  logic                 lite_arvalid;
  logic                 lite_arready;
  logic [31:0]          lite_rdata;
  logic [1:0]           lite_rresp;
  logic                 lite_rvalid;
  logic                 lite_rready;
  logic [1:0][5:0]             hp_arid;
  logic [1:0][31:0]            hp_araddr;
  logic [1:0][3:0]             hp_arlen;
  logic [1:0][2:0]             hp_arsize;
  logic [1:0][1:0]             hp_arburst;
  logic [1:0][3:0]             hp_arcache;
  logic [1:0][2:0]             hp_arprot;
  logic [1:0][1:0]             hp_arlock;
  logic [1:0][3:0]             hp_arqos;
  logic [1:0]                  hp_arvalid, hp_arready;
  logic [1:0][5:0]             hp_rid;
  logic [1:0][AxiBits-1:0]     hp_rdata;
  logic [1:0][1:0]             hp_rresp;
  logic [1:0]                  hp_rlast;
  logic [1:0]                  hp_rvalid, hp_rready;
  logic [1:0][5:0]             hp_awid;
  logic [1:0][31:0]            hp_awaddr;
  logic [1:0][3:0]             hp_awlen;
  logic [1:0][2:0]             hp_awsize;
  logic [1:0][1:0]             hp_awburst;
  logic [1:0][3:0]             hp_awcache;
  logic [1:0][2:0]             hp_awprot;
  logic [1:0][1:0]             hp_awlock;
  logic [1:0][3:0]             hp_awqos;
  logic [1:0]                  hp_awvalid, hp_awready;
  logic [1:0][5:0]             hp_wid;
  logic [1:0][AxiBits-1:0]     hp_wdata;
  logic [1:0][StrbBits-1:0]    hp_wstrb;
  logic [1:0]                  hp_wlast;
  logic [1:0]                  hp_wvalid, hp_wready;
  logic [1:0][5:0]             hp_bid;
  logic [1:0][1:0]             hp_bresp;
  logic [1:0]                  hp_bvalid, hp_bready;
  logic                 unused_gp, unused_hp;

  // The window of the port is decoded by the processing system; sizes reach 8 bytes at most.
  assign unused_gp = ^{gp_araddr[31:10], gp_awaddr[31:10], fclk[3:1], fclk_rst_n[3:1]};
  assign unused_hp = ^{hp_arsize[0][2], hp_awsize[0][2], hp_arsize[1][2], hp_awsize[1][2]};

  axi3_to_lite u_control (
    .clk_i          (clk),
    .rst_ni         (rst_n),
    .s_axi_arid_i   (gp_arid),
    .s_axi_araddr_i (gp_araddr[9:0]),
    .s_axi_arlen_i  (gp_arlen),
    .s_axi_arsize_i (gp_arsize),
    .s_axi_arburst_i(gp_arburst),
    .s_axi_arvalid_i(gp_arvalid),
    .s_axi_arready_o(gp_arready),
    .s_axi_rid_o    (gp_rid),
    .s_axi_rdata_o  (gp_rdata),
    .s_axi_rresp_o  (gp_rresp),
    .s_axi_rlast_o  (gp_rlast),
    .s_axi_rvalid_o (gp_rvalid),
    .s_axi_rready_i (gp_rready),
    .s_axi_awid_i   (gp_awid),
    .s_axi_awaddr_i (gp_awaddr[9:0]),
    .s_axi_awsize_i (gp_awsize),
    .s_axi_awburst_i(gp_awburst),
    .s_axi_awvalid_i(gp_awvalid),
    .s_axi_awready_o(gp_awready),
    .s_axi_wdata_i  (gp_wdata),
    .s_axi_wstrb_i  (gp_wstrb),
    .s_axi_wlast_i  (gp_wlast),
    .s_axi_wvalid_i (gp_wvalid),
    .s_axi_wready_o (gp_wready),
    .s_axi_bid_o    (gp_bid),
    .s_axi_bresp_o  (gp_bresp),
    .s_axi_bvalid_o (gp_bvalid),
    .s_axi_bready_i (gp_bready),
    .lite_awaddr_o  (lite_awaddr),
    .lite_awvalid_o (lite_awvalid),
    .lite_awready_i (lite_awready),
    .lite_wdata_o   (lite_wdata),
    .lite_wstrb_o   (lite_wstrb),
    .lite_wvalid_o  (lite_wvalid),
    .lite_wready_i  (lite_wready),
    .lite_bresp_i   (lite_bresp),
    .lite_bvalid_i  (lite_bvalid),
    .lite_bready_o  (lite_bready),
    .lite_araddr_o  (lite_araddr),
    .lite_arvalid_o (lite_arvalid),
    .lite_arready_i (lite_arready),
    .lite_rdata_i   (lite_rdata),
    .lite_rresp_i   (lite_rresp),
    .lite_rvalid_i  (lite_rvalid),
    .lite_rready_o  (lite_rready)
  );

  joulegrad_zynq #(
    .G(G), .AWords(AWords), .WWords(WWords), .AccRows(AccRows), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords), .BlockWords(BlockWords),
    .PassTaps(PassTaps), .AxiBits(AxiBits), .ConfigHash(ConfigHash)
  ) u_zynq (
    .clk_i        (clk),
    .rst_ni       (rst_n),
    .irq_o        (irq),
    .s_axi_awaddr_i (lite_awaddr),
    .s_axi_awvalid_i(lite_awvalid),
    .s_axi_awready_o(lite_awready),
    .s_axi_wdata_i  (lite_wdata),
    .s_axi_wstrb_i  (lite_wstrb),
    .s_axi_wvalid_i (lite_wvalid),
    .s_axi_wready_o (lite_wready),
    .s_axi_bresp_o  (lite_bresp),
    .s_axi_bvalid_o (lite_bvalid),
    .s_axi_bready_i (lite_bready),
    .s_axi_araddr_i (lite_araddr),
    .s_axi_arvalid_i(lite_arvalid),
    .s_axi_arready_o(lite_arready),
    .s_axi_rdata_o  (lite_rdata),
    .s_axi_rresp_o  (lite_rresp),
    .s_axi_rvalid_o (lite_rvalid),
    .s_axi_rready_i (lite_rready),
    .hp_arid_o       (hp_arid),
    .hp_araddr_o     (hp_araddr),
    .hp_arlen_o      (hp_arlen),
    .hp_arsize_o     (hp_arsize),
    .hp_arburst_o    (hp_arburst),
    .hp_arcache_o    (hp_arcache),
    .hp_arprot_o     (hp_arprot),
    .hp_arlock_o     (hp_arlock),
    .hp_arqos_o      (hp_arqos),
    .hp_arvalid_o    (hp_arvalid),
    .hp_arready_i    (hp_arready),
    .hp_rid_i        (hp_rid),
    .hp_rdata_i      (hp_rdata),
    .hp_rresp_i      (hp_rresp),
    .hp_rlast_i      (hp_rlast),
    .hp_rvalid_i     (hp_rvalid),
    .hp_rready_o     (hp_rready),
    .hp_awid_o       (hp_awid),
    .hp_awaddr_o     (hp_awaddr),
    .hp_awlen_o      (hp_awlen),
    .hp_awsize_o     (hp_awsize),
    .hp_awburst_o    (hp_awburst),
    .hp_awcache_o    (hp_awcache),
    .hp_awprot_o     (hp_awprot),
    .hp_awlock_o     (hp_awlock),
    .hp_awqos_o      (hp_awqos),
    .hp_awvalid_o    (hp_awvalid),
    .hp_awready_i    (hp_awready),
    .hp_wid_o        (hp_wid),
    .hp_wdata_o      (hp_wdata),
    .hp_wstrb_o      (hp_wstrb),
    .hp_wlast_o      (hp_wlast),
    .hp_wvalid_o     (hp_wvalid),
    .hp_wready_i     (hp_wready),
    .hp_bid_i        (hp_bid),
    .hp_bresp_i      (hp_bresp),
    .hp_bvalid_i     (hp_bvalid),
    .hp_bready_o     (hp_bready)
  );

  PS7 u_ps7 (
    .FCLKCLK              (fclk),
    .FCLKRESETN           (fclk_rst_n),
    .IRQF2P               ({19'd0, irq}),
    .MAXIGP0ACLK          (clk),
    .MAXIGP0ARID          (gp_arid),
    .MAXIGP0ARADDR        (gp_araddr),
    .MAXIGP0ARLEN         (gp_arlen),
    .MAXIGP0ARSIZE        (gp_arsize),
    .MAXIGP0ARBURST       (gp_arburst),
    .MAXIGP0ARVALID       (gp_arvalid),
    .MAXIGP0ARREADY       (gp_arready),
    .MAXIGP0RID           (gp_rid),
    .MAXIGP0RDATA         (gp_rdata),
    .MAXIGP0RRESP         (gp_rresp),
    .MAXIGP0RLAST         (gp_rlast),
    .MAXIGP0RVALID        (gp_rvalid),
    .MAXIGP0RREADY        (gp_rready),
    .MAXIGP0AWID          (gp_awid),
    .MAXIGP0AWADDR        (gp_awaddr),
    .MAXIGP0AWSIZE        (gp_awsize),
    .MAXIGP0AWBURST       (gp_awburst),
    .MAXIGP0AWVALID       (gp_awvalid),
    .MAXIGP0AWREADY       (gp_awready),
    .MAXIGP0WDATA         (gp_wdata),
    .MAXIGP0WSTRB         (gp_wstrb),
    .MAXIGP0WLAST         (gp_wlast),
    .MAXIGP0WVALID        (gp_wvalid),
    .MAXIGP0WREADY        (gp_wready),
    .MAXIGP0BID           (gp_bid),
    .MAXIGP0BRESP         (gp_bresp),
    .MAXIGP0BVALID        (gp_bvalid),
    .MAXIGP0BREADY        (gp_bready),
    .SAXIHP0ACLK          (clk),
    .SAXIHP0RDISSUECAP1EN (1'b0),
    .SAXIHP0WRISSUECAP1EN (1'b0),
    .SAXIHP0ARID          (hp_arid[0]),
    .SAXIHP0ARADDR        (hp_araddr[0]),
    .SAXIHP0ARLEN         (hp_arlen[0]),
    .SAXIHP0ARSIZE        (hp_arsize[0][1:0]),
    .SAXIHP0ARBURST       (hp_arburst[0]),
    .SAXIHP0ARCACHE       (hp_arcache[0]),
    .SAXIHP0ARPROT        (hp_arprot[0]),
    .SAXIHP0ARLOCK        (hp_arlock[0]),
    .SAXIHP0ARQOS         (hp_arqos[0]),
    .SAXIHP0ARVALID       (hp_arvalid[0]),
    .SAXIHP0ARREADY       (hp_arready[0]),
    .SAXIHP0RID           (hp_rid[0]),
    .SAXIHP0RDATA         (hp_rdata[0]),
    .SAXIHP0RRESP         (hp_rresp[0]),
    .SAXIHP0RLAST         (hp_rlast[0]),
    .SAXIHP0RVALID        (hp_rvalid[0]),
    .SAXIHP0RREADY        (hp_rready[0]),
    .SAXIHP0AWID          (hp_awid[0]),
    .SAXIHP0AWADDR        (hp_awaddr[0]),
    .SAXIHP0AWLEN         (hp_awlen[0]),
    .SAXIHP0AWSIZE        (hp_awsize[0][1:0]),
    .SAXIHP0AWBURST       (hp_awburst[0]),
    .SAXIHP0AWCACHE       (hp_awcache[0]),
    .SAXIHP0AWPROT        (hp_awprot[0]),
    .SAXIHP0AWLOCK        (hp_awlock[0]),
    .SAXIHP0AWQOS         (hp_awqos[0]),
    .SAXIHP0AWVALID       (hp_awvalid[0]),
    .SAXIHP0AWREADY       (hp_awready[0]),
    .SAXIHP0WID           (hp_wid[0]),
    .SAXIHP0WDATA         (hp_wdata[0]),
    .SAXIHP0WSTRB         (hp_wstrb[0]),
    .SAXIHP0WLAST         (hp_wlast[0]),
    .SAXIHP0WVALID        (hp_wvalid[0]),
    .SAXIHP0WREADY        (hp_wready[0]),
    .SAXIHP0BID           (hp_bid[0]),
    .SAXIHP0BRESP         (hp_bresp[0]),
    .SAXIHP0BVALID        (hp_bvalid[0]),
    .SAXIHP0BREADY        (hp_bready[0]),
    .SAXIHP2ACLK          (clk),
    .SAXIHP2RDISSUECAP1EN (1'b0),
    .SAXIHP2WRISSUECAP1EN (1'b0),
    .SAXIHP2ARID          (hp_arid[1]),
    .SAXIHP2ARADDR        (hp_araddr[1]),
    .SAXIHP2ARLEN         (hp_arlen[1]),
    .SAXIHP2ARSIZE        (hp_arsize[1][1:0]),
    .SAXIHP2ARBURST       (hp_arburst[1]),
    .SAXIHP2ARCACHE       (hp_arcache[1]),
    .SAXIHP2ARPROT        (hp_arprot[1]),
    .SAXIHP2ARLOCK        (hp_arlock[1]),
    .SAXIHP2ARQOS         (hp_arqos[1]),
    .SAXIHP2ARVALID       (hp_arvalid[1]),
    .SAXIHP2ARREADY       (hp_arready[1]),
    .SAXIHP2RID           (hp_rid[1]),
    .SAXIHP2RDATA         (hp_rdata[1]),
    .SAXIHP2RRESP         (hp_rresp[1]),
    .SAXIHP2RLAST         (hp_rlast[1]),
    .SAXIHP2RVALID        (hp_rvalid[1]),
    .SAXIHP2RREADY        (hp_rready[1]),
    .SAXIHP2AWID          (hp_awid[1]),
    .SAXIHP2AWADDR        (hp_awaddr[1]),
    .SAXIHP2AWLEN         (hp_awlen[1]),
    .SAXIHP2AWSIZE        (hp_awsize[1][1:0]),
    .SAXIHP2AWBURST       (hp_awburst[1]),
    .SAXIHP2AWCACHE       (hp_awcache[1]),
    .SAXIHP2AWPROT        (hp_awprot[1]),
    .SAXIHP2AWLOCK        (hp_awlock[1]),
    .SAXIHP2AWQOS         (hp_awqos[1]),
    .SAXIHP2AWVALID       (hp_awvalid[1]),
    .SAXIHP2AWREADY       (hp_awready[1]),
    .SAXIHP2WID           (hp_wid[1]),
    .SAXIHP2WDATA         (hp_wdata[1]),
    .SAXIHP2WSTRB         (hp_wstrb[1]),
    .SAXIHP2WLAST         (hp_wlast[1]),
    .SAXIHP2WVALID        (hp_wvalid[1]),
    .SAXIHP2WREADY        (hp_wready[1]),
    .SAXIHP2BID           (hp_bid[1]),
    .SAXIHP2BRESP         (hp_bresp[1]),
    .SAXIHP2BVALID        (hp_bvalid[1]),
    .SAXIHP2BREADY        (hp_bready[1])
  );

endmodule
